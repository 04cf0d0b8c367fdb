# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""Writes Swift descriptors for every RPC in the schema's service blocks, to standard output.

usage: generate-services.py SCHEMA_DIR
"""
import pathlib
import re
import sys

HEADER = """\
// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0
//
// DO NOT EDIT: dev/generate-proto writes this file from the service blocks in Sources/Proto/schema.
"""


def swift_type(name, package):
    """kvrpcpb.GetRequest → Kvrpcpb_GetRequest, by swift-protobuf's own naming of packages."""
    if "." not in name:
        name = package + "." + name
    package, message = name.split(".", 1)
    prefix = "".join(part[:1].upper() + part[1:] for part in package.split("_"))
    return prefix + "_" + message


def member(name):
    """KvGet → kvGet, GCBarrier → gcBarrier."""
    head = re.match(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]+$|[A-Z]", name)
    return name if head is None else head.group(0).lower() + name[head.end():]


def batch_fields(schema):
    """Request message → its field number in the envelope of BatchCommands."""
    text = (schema / "tikvpb.proto").read_text()
    envelope = re.search(r"^message BatchCommandsRequest \{\n  message Request \{\n(.*?)^  \}", text, re.M | re.S).group(1)
    return {kind: number for kind, number in re.findall(r"^ +([\w.]+) \w+ = (\d+);", envelope, re.M)}


def main():
    lines = [HEADER]
    batched = batch_fields(pathlib.Path(sys.argv[1]))
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.proto")):
        text = path.read_text()
        package = re.search(r"^package (\w+);", text, re.M).group(1)
        for service in re.finditer(r"^service (\w+) \{\n(.*?)^\}", text, re.M | re.S):
            name = service.group(1)
            enum = swift_type(package + "." + name, package).replace("_", "") + "RPC"
            lines.append(f"/// The calls of `{package}.{name}`.\npackage enum {enum} {{")
            for rpc in re.finditer(r"rpc (\w+)\((stream )?([\w.]+)\) returns \((stream )?([\w.]+)\);", service.group(2)):
                method, cs, request, ss, response = rpc.groups()
                kind = {(False, False): "unary", (True, False): "clientStreaming",
                        (False, True): "serverStreaming", (True, True): "bidirectional"}[(bool(cs), bool(ss))]
                number = batched.get(request) if kind == "unary" and name == "Tikv" else None
                batch = f", batchField: {number}" if number else ""
                lines.append(
                    f"    package static let {member(method)} = "
                    f"RPCMethod<{swift_type(request, package)}, {swift_type(response, package)}>(\n"
                    f'        service: "{package}.{name}", name: "{method}", kind: .{kind}{batch})')
            lines.append("}\n")
    print("\n".join(lines).rstrip())


main()
