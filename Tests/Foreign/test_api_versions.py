# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""What our client writes and asks with each API version, seen by clients that we did not write."""

import json

import pytest
import tikv_client
from conftest import Cluster, OurClient, Playground
from test_cli import FAILED, USAGE, assert_one_line

SPLIT_KEYS = "d,h,p,t"
PAIRS = {key: b"value of " + key for key in [b"a", b"b", b"e", b"k", b"q", b"z"]}


def crc64(data):
    """CRC-64/XZ, a bit at a time."""
    crc = (1 << 64) - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xC96C5795D7870F42 if crc & 1 else crc >> 1
    return crc ^ ((1 << 64) - 1)


def checksum_line(pairs):
    checksum = 0
    for key, value in pairs.items():
        checksum ^= crc64(key + value)
    size = sum(len(key) + len(value) for key, value in pairs.items())
    return f"crc64xor={checksum:016x} pairs={len(pairs)} bytes={size}\n"


@pytest.fixture(scope="module", params=["v1", "v1ttl", "v2"])
def any_version(request):
    playground = Playground("--stores", "2", "--split-keys", SPLIT_KEYS, "--api-version", request.param)
    yield request.param, playground
    assert playground.stop() == (0, "")


@pytest.fixture
def client(any_version):
    version, playground = any_version
    client = OurClient(playground.pd, "--api-version", version)
    client.raw_done("delete-range", "--all")
    return client


# --- Every version ----------------------------------------------------------------------------------------------------


def test_every_command(client):
    for key, value in PAIRS.items():
        client.raw_done("put", key.decode(), value.decode())
    lines = "".join(f"{key.decode()}\t{value.decode()}\n" for key, value in PAIRS.items())
    assert client.raw_done("scan") == lines
    assert client.raw_done("scan", "--reverse") == "".join(reversed(lines.splitlines(True)))
    assert client.raw_done("get", "b", "q") == "b\tvalue of b\nq\tvalue of q\n"
    client.raw_done("delete", "b")
    client.raw_done("delete-range", "--from", "e", "--to", "z")
    assert client.raw_done("scan", "--keys-only") == "a\nz\n"


def test_checksum(any_version, client):
    prefix = b"r\0\0\0" if any_version[0] == "v2" else b""
    for key, value in PAIRS.items():
        client.raw_done("put", key.decode(), value.decode())
    pairs = {prefix + key: value for key, value in PAIRS.items()}
    assert client.raw_done("checksum") == checksum_line(pairs)
    assert client.raw_done("checksum", "--from", "b", "--to", "q") == checksum_line(
        {prefix + key: value for key, value in PAIRS.items() if b"b" <= key < b"q"}
    )
    assert client.raw_done("checksum", "--prefix", "nothing") == checksum_line({})


def test_compare_and_swap(client):
    assert client.raw_done("cas", "k", "1", "--expect-absent") == ""
    assert_one_line(client.raw("cas", "k", "2", "--expect-absent"), 1, "k has the value 1")
    assert_one_line(client.raw("cas", "k", "2", "--expect", "0"), 1, "k has the value 1")
    assert client.raw_done("cas", "k", "2", "--expect", "1") == ""
    assert client.raw_done("get", "k") == "2\n"
    assert_one_line(client.raw("put", "k", "3", "--if-absent"), 1, "k has the value 2")
    client.raw_done("put", "k", "", "--atomic")
    assert client.raw_done("cas", "k", "--expect", "") == ""
    assert_one_line(client.raw("cas", "k", "x", "--expect", "4"), 1, "k has no value")
    assert client.raw_done("put", "k", "5", "--if-absent") == ""
    assert client.raw_done("get", "k") == "5\n"


def test_time_to_live(any_version, client):
    version, _ = any_version
    if version == "v1":
        assert_one_line(client.raw("put", "k", "v", "--ttl", "10"), FAILED, "v1ttl")
        assert_one_line(client.raw("ttl", "k"), FAILED, "v1ttl")
        return
    client.raw_done("put", "k", "v", "--ttl", "1000")
    assert 900 < int(client.raw_done("ttl", "k")) <= 1000
    client.raw_done("put", "k", "v")
    assert client.raw_done("ttl", "k") == "forever\n"
    assert_one_line(client.raw("ttl", "nothing"), 1, "no such key: nothing")


@pytest.mark.parametrize("operation", ["batch-get", "batch-put", "scan"])
def test_bench_of_many_keys(any_version, operation):
    version, playground = any_version
    arguments = ["--operation", operation, "--count", "20", "--in-flight", "2", "--keys", "500", "--batch-size", "300"]
    connect = ["--pd", playground.pd, "--api-version", version, "--json", "--warm-up", "0"]
    result = OurClient("").run("bench", "raw", *arguments, *connect)
    assert (result.returncode, result.stderr) == (0, "")
    measured = json.loads(result.stdout)
    assert measured["operation"] == "raw_" + operation.replace("-", "_")
    assert (measured["count"], measured["keys_per_operation"]) == (20, 300)
    assert measured["peak_memory_bytes"] > 1 << 20


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["raw", "get", "k", "--api-version", "v9"], "v9"),
        (["raw", "get", "k", "--keyspace", "name"], "--api-version v2"),
        (["raw", "put", "k", "v", "--ttl", "0"], "--ttl"),
        (["raw", "cas", "k", "v"], "--expect"),
        (["raw", "cas", "k", "v", "--expect", "a", "--expect-absent"], "--expect"),
        (["raw", "cas", "k", "--expect-absent"], "absent"),
        (["bench", "raw", "--operation", "scan", "--keys", "10", "--batch-size", "11"], "--batch-size"),
    ],
)
def test_wrong_arguments(arguments, text):
    assert_one_line(OurClient("").run(*arguments), USAGE, text)


# --- Against clients that we did not write ----------------------------------------------------------------------------


def test_rust_and_ours_agree_on_values_with_a_time_to_live(any_version, client, loop):
    """The Rust client speaks version V1, which stores with times to live take as well."""
    version, playground = any_version
    if version == "v2":
        pytest.skip("the Rust client as published has no keyspaces")
    rust = tikv_client.RawClient.connect([playground.pd])
    rust.batch_put(PAIRS)
    assert client.raw_done("checksum") == checksum_line(PAIRS)
    if version == "v1ttl":
        assert client.raw_done("ttl", "a") == "forever\n"
        client.raw_done("put", "a", "1", "--ttl", "1000")
        assert rust.get(b"a") == b"1"
    assert client.raw_done("cas", "z", "swapped", "--expect", "value of z") == ""
    assert rust.get(b"z") == b"swapped"
    rust.put(b"z", b"put")
    assert_one_line(client.raw("cas", "z", "again", "--expect", "swapped"), 1, "z has the value put")
    assert [key for key, _ in rust.scan(b"a", b"zz", 10)] == list(PAIRS)


def encode(key):
    """As bounds of regions are with API V2: groups of eight bytes, each with its marker."""
    groups = [key[start : start + 8] for start in range(0, len(key) + 1, 8)]
    return b"".join(group.ljust(8, b"\0") + bytes([0xFF - (8 - len(group))]) for group in groups)


def test_what_ours_writes_with_v2_is_what_stores_of_v2_hold(any_version, client, proto):
    """Read by grpcio: the keyspace's prefix before the key, and PD's bounds of regions encoded."""
    version, playground = any_version
    if version != "v2":
        pytest.skip("a test of V2")
    client.raw_done("put", "m", "value")
    cluster = Cluster(proto, playground.pd)
    try:
        for key, found in [(b"r\0\0\0m", True), (b"r\0\0\1m", False)]:
            region = cluster.pd.GetRegion(
                proto.pdpb_pb2.GetRegionRequest(header=cluster.header(), region_key=encode(key)), timeout=10
            )
            context = proto.kvrpcpb_pb2.Context(
                region_id=region.region.id, region_epoch=region.region.region_epoch, peer=region.leader, api_version=2
            )
            answer = cluster.stores[region.leader.store_id].RawGet(
                proto.kvrpcpb_pb2.RawGetRequest(context=context, key=key), timeout=10
            )
            assert not answer.HasField("region_error") and answer.error == ""
            assert answer.not_found != found
            if found:
                assert answer.value == b"value"
                assert (region.region.start_key, region.region.end_key) == (encode(b"r\0\0\0h"), encode(b"r\0\0\0p"))
        # A key without the prefix is none of raw data, and a request of V1 none for this store.
        context.api_version = 2
        store = cluster.stores[region.leader.store_id]
        bare = store.RawGet(proto.kvrpcpb_pb2.RawGetRequest(context=context, key=b"m"), timeout=10)
        assert "Key mode mismatched" in bare.error
        context.api_version = 0
        old = store.RawGet(proto.kvrpcpb_pb2.RawGetRequest(context=context, key=b"r\0\0\0m"), timeout=10)
        assert "Api version in request does not match" in old.error
    finally:
        cluster.close()


def test_keyspaces_of_a_playground_keep_keys_apart():
    playground = Playground("--api-version", "v2", "--stores", "1", "--keyspace", "one,two", "--keyspace", "three")

    def raw(keyspace, *arguments):
        connect = ["--pd", playground.pd, "--api-version", "v2", "--keyspace", keyspace]
        return OurClient("").run("raw", *arguments, *connect)

    for keyspace in ["one", "two", "three", "DEFAULT"]:
        assert raw(keyspace, "put", "k", "of " + keyspace).returncode == 0
    for keyspace in ["one", "two", "three", "DEFAULT"]:
        assert raw(keyspace, "get", "k").stdout == f"of {keyspace}\n"
    assert raw("one", "delete-range", "--all").returncode == 0
    assert_one_line(raw("one", "get", "k"), 1, "no such key: k")
    assert raw("two", "get", "k").stdout == "of two\n"
    assert_one_line(raw("four", "get", "k"), FAILED, "four")
    assert playground.stop() == (0, "")


def test_playground_has_keyspaces_with_v2_only():
    assert_one_line(OurClient("").run("playground", "--keyspace", "one"), USAGE, "--api-version v2")
