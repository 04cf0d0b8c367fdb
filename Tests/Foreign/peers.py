# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""Our transport as a process of its own (`transport-peer`), and what stands on the other side of it."""

import base64
import itertools
import json
import os
import queue
import socket
import struct
import subprocess
import threading
import time
from concurrent import futures
from contextlib import contextmanager

import grpc
from conftest import CLI
from google.protobuf.wrappers_pb2 import BytesValue

PEER = os.environ.get("TIKV_TRANSPORT_PEER", os.path.join(os.path.dirname(CLI), "transport-peer"))
SERVICE = "tikv.test.Peer"
# Seconds; TIKV_TEST_PATIENCE makes failures quick to come by.
PATIENCE = float(os.environ.get("TIKV_TEST_PATIENCE", 60))
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# Else grpcio cancels calls when more than a thousand wait for a thread.
UNHURRIED = [("grpc.server.max_pending_requests", 100_000), ("grpc.server.max_pending_requests_hard_limit", 100_000)]


def pattern(size):
    """The bytes that transport-peer puts into its messages."""
    # They depend on the index modulo 2^16 only.
    block = bytes((index * 31 + (index >> 8)) & 0xFF for index in range(min(size, 1 << 16)))
    return (block * (size // (1 << 16) + 1))[:size]


def eventually(condition, what):
    """Waits for something that another process does. Only the failure takes long."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"did not happen: {what}"
        time.sleep(0.01)


class OurServer:
    """`transport-peer serve`, and calls to it by grpcio."""

    def __init__(self, message_limit=None, gzip=False, port=None):
        arguments = ([] if message_limit is None else [str(message_limit)]) + (["gzip"] if gzip else [])
        arguments += [] if port is None else [f"port={port}"]
        self.process = subprocess.Popen(
            [PEER, "serve", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(PATIENCE)
            raise OSError("our server has not come up")
        self.port = json.loads(line)["port"]
        self.address = f"127.0.0.1:{self.port}"

    @contextmanager
    def channel(self, *options, address=None, compression=None):
        with grpc.insecure_channel(
                address or self.address, options=[*UNLIMITED, *options], compression=compression) as channel:
            yield Channel(channel)

    def stats(self):
        with self.channel() as channel:
            return json.loads(channel.unary("Stats")(b"", timeout=PATIENCE))

    def order(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ended(self):
        """Waits for an end that the server comes to by itself; returns how many calls of Unary its handler saw."""
        try:
            assert self.process.wait(PATIENCE) == 0
            return json.loads(self.process.stdout.readline())["served"]
        finally:
            self.process.kill()

    def stop(self):
        self.process.stdin.close()
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()


class Channel:
    """A grpcio channel that speaks BytesValue."""

    def __init__(self, channel):
        self.channel = channel

    def _make(self, kind, name):
        call = getattr(self.channel, kind)(
            f"/{SERVICE}/{name}", request_serializer=lambda value: BytesValue(value=value).SerializeToString(),
            response_deserializer=lambda data: BytesValue.FromString(data).value)
        return call

    def unary(self, name):
        return self._make("unary_unary", name)

    def collect(self, name):
        return self._make("stream_unary", name)

    def spread(self, name):
        return self._make("unary_stream", name)

    def both(self, name):
        return self._make("stream_stream", name)


class OurClient:
    """`transport-peer client`: orders go in, outcomes come out."""

    def __init__(self, port, **settings):
        self.process = subprocess.Popen(
            [PEER, "client", json.dumps({"host": "127.0.0.1", "port": port, **settings})],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.numbers = itertools.count(1)
        self.outcomes = {}
        self.arrived = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            outcome = json.loads(line)
            with self.arrived:
                self.outcomes[outcome["id"]] = outcome
                self.arrived.notify_all()

    def start(self, call, **order):
        number = next(self.numbers)
        self.process.stdin.write(json.dumps({"id": number, "call": call, **order}) + "\n")
        self.process.stdin.flush()
        return number

    def outcome(self, number):
        with self.arrived:
            assert self.arrived.wait_for(lambda: number in self.outcomes, PATIENCE), "the call has no end"
            return self.outcomes[number]

    def call(self, call, **order):
        return self.outcome(self.start(call, **order))

    def cancel(self, number):
        self.start("cancel", target=number)

    def stop(self):
        self.process.stdin.close()
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()


@contextmanager
def our_client(port, **settings):
    client = OurClient(port, **settings)
    try:
        yield client
        assert client.stop() == 0, "the client process failed"
    finally:
        client.process.kill()


def encoded(value):
    return base64.b64encode(value).decode()


class ForeignServer:
    """A grpcio server with the same calls as transport-peer's, and some that misbehave."""

    def __init__(self, *options, threads=32, compression=None):
        self.cancelled = threading.Semaphore(0)
        self.entered = queue.Queue()
        self.hold = threading.Event()
        self.seen = {}
        self.server = grpc.server(
            futures.ThreadPoolExecutor(threads), options=[*UNLIMITED, *UNHURRIED, *options], compression=compression)
        kinds = {
            "Unary": (grpc.unary_unary_rpc_method_handler, self.unary),
            "Hold": (grpc.unary_unary_rpc_method_handler, self.held),
            "Wait": (grpc.unary_unary_rpc_method_handler, self.wait),
            "Collect": (grpc.stream_unary_rpc_method_handler, self.collect),
            "Spread": (grpc.stream_stream_rpc_method_handler, self.spread),
            "Echo": (grpc.stream_stream_rpc_method_handler, self.echo),
            "Deaf": (grpc.stream_stream_rpc_method_handler, self.deaf),
            "Nothing": (grpc.stream_unary_rpc_method_handler, self.nothing),
            "Twice": (grpc.stream_stream_rpc_method_handler, self.twice),
        }
        handlers = {
            name: make(body, request_deserializer=lambda data: BytesValue.FromString(data).value,
                       response_serializer=lambda value: BytesValue(value=value).SerializeToString())
            for name, (make, body) in kinds.items()
        }
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def stop(self, grace=None):
        self.hold.set()
        self.server.stop(grace).wait(PATIENCE)

    def fail_if_asked(self, context):
        metadata = dict(context.invocation_metadata())
        self.seen = metadata
        context.set_trailing_metadata([
            (name, value) for name, value in context.invocation_metadata() if name.startswith("x-echo")])
        if "x-status" in metadata:
            number = int(metadata["x-status"])
            code = next(code for code in grpc.StatusCode if code.value[0] == number)
            context.abort(code, metadata.get("x-message-bin", b"").decode())

    def unary(self, request, context):
        self.fail_if_asked(context)
        return request

    def held(self, request, context):
        self.entered.put(None)
        self.hold.wait(PATIENCE)
        return request

    def wait(self, request, context):
        gone = threading.Event()
        context.add_callback(gone.set)
        self.entered.put(None)
        if gone.wait(PATIENCE):
            self.cancelled.release()
        return request

    def collect(self, requests, context):
        return " ".join(str(len(request)) for request in requests).encode()

    def spread(self, requests, context):
        for size in next(requests).decode(errors="replace").split() or ["0"]:
            yield pattern(int(size) if size.isdigit() else 0)
        self.fail_if_asked(context)

    def echo(self, requests, context):
        yield from requests
        self.fail_if_asked(context)

    def deaf(self, requests, context):
        gone = threading.Event()
        context.add_callback(gone.set)
        self.entered.put(None)
        if gone.wait(PATIENCE):
            self.cancelled.release()
        return
        yield

    def nothing(self, requests, context):
        context.abort(grpc.StatusCode.ABORTED, "at once")

    def twice(self, requests, context):
        yield b"1"
        yield b"2"


class Proxy:
    """Carries bytes between one client at a time and a server, and cuts the connection where a test says so."""

    def __init__(self, port, cut_after=None, stall_after=None):
        self.target = port
        #: Bytes from the server to the client after which the connection is cut, or nothing more is carried.
        self.cut_after = cut_after
        self.stall_after = stall_after
        self.connections = 0
        #: Bytes so far, from the client and from the server.
        self.carried = [0, 0]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            self.connections += 1
            self.sockets += [client, server]
            threading.Thread(target=self._carry, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, True), daemon=True).start()

    def _carry(self, source, target, to_client):
        carried = 0
        try:
            while data := source.recv(65536):
                self.carried[to_client] += len(data)
                if to_client:
                    carried += len(data)
                    if self.stall_after is not None and carried > self.stall_after:
                        continue
                    if self.cut_after is not None and carried > self.cut_after:
                        target.sendall(data[:len(data) - (carried - self.cut_after)])
                        self.cut(target)
                        self.cut(source)
                        return
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            self.cut(end, reset=False)

    @staticmethod
    def cut(end, reset=True):
        try:
            if reset:
                # A reset instead of an orderly end; nothing is closed while the other thread still reads from it.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)
            else:
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        except OSError:
            pass

    def close(self):
        self.listener.close()
        for end in self.sockets:
            self.cut(end, reset=False)
