# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""What the tests share: a playground in a process of its own, and ways to talk to it."""

import asyncio
import importlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import grpc
import grpc_tools.protoc
import pytest
import tikv_client

ROOT = Path(__file__).resolve().parents[2]
CLI = os.environ.get("TIKV_CLI", str(ROOT / ".build" / "debug" / "tikv-cli"))
SPLIT_KEYS = [b"d", b"h", b"p", b"t"]
READY_WITHIN = 30
STOPPED_WITHIN = 30


class Playground:
    """`tikv-cli playground`, from its ready line to its exit."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [CLI, "playground", "--pd-port", "0", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        # A playground that neither gets ready nor ends would hold up readline for ever.
        watchdog = threading.Timer(READY_WITHIN, self.process.kill)
        watchdog.start()
        self.ready_line = self.process.stdout.readline()
        watchdog.cancel()
        if not self.ready_line.startswith("ready "):
            self.process.kill()
            pytest.fail(f"not ready: {self.ready_line!r}, {self.process.stderr.read()!r}")
        fields = dict(field.split("=", 1) for field in self.ready_line.split()[1:])
        self.pd = fields["pd"]
        self.stores = int(fields["stores"])

    def stop(self, number=signal.SIGTERM):
        """Returns the exit code and what was written on standard output after the ready line."""
        self.process.send_signal(number)
        try:
            output, _ = self.process.communicate(timeout=STOPPED_WITHIN)
        finally:
            self.process.kill()
        return self.process.returncode, output


@pytest.fixture(scope="session")
def playground():
    playground = Playground("--stores", "3", "--split-keys", ",".join(key.decode() for key in SPLIT_KEYS))
    yield playground
    assert playground.process.poll() is None, "the playground died during the tests"
    assert playground.stop() == (0, "")


class OurClient:
    """Our own client, through tikv-cli."""

    def __init__(self, pd, *options):
        self.pd = pd
        self.options = options

    def run(self, *arguments, **options):
        return subprocess.run(
            [CLI, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **options
        )

    def raw(self, *arguments, **options):
        return self.run("raw", arguments[0], "--pd", self.pd, *self.options, *arguments[1:], **options)

    def raw_done(self, *arguments):
        """For commands that are to succeed: their output."""
        result = self.raw(*arguments)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout


@pytest.fixture
def ours(playground):
    """Our client, and a cluster without keys."""
    client = OurClient(playground.pd)
    client.raw_done("delete-range", "--all")
    return client


@pytest.fixture(scope="session")
def loop():
    """tikv_client's blocking API runs on the current event loop, which there is none of by itself."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    loop.close()


@pytest.fixture
def rust(playground, ours, loop):
    """The Rust client's RawClient, and a cluster without keys."""
    return tikv_client.RawClient.connect([playground.pd])


@pytest.fixture(scope="session")
def proto(tmp_path_factory):
    """Python stubs of our schema, made by Google's generator."""
    schema = ROOT / "Sources" / "Proto" / "schema"
    target = tmp_path_factory.mktemp("stubs")
    files = sorted(str(path) for path in schema.glob("*.proto"))
    arguments = ["protoc", f"-I{schema}", f"--python_out={target}", f"--grpc_python_out={target}", *files]
    assert grpc_tools.protoc.main(arguments) == 0
    sys.path.insert(0, str(target))
    names = ["pdpb_pb2", "pdpb_pb2_grpc", "tikvpb_pb2", "tikvpb_pb2_grpc", "kvrpcpb_pb2", "metapb_pb2", "errorpb_pb2"]
    return SimpleNamespace(**{name: importlib.import_module(name) for name in names})


class Cluster:
    """The playground as grpcio sees it: stubs for PD and each store, and requests with the right headers."""

    def __init__(self, proto, pd_address, credentials=None):
        self.proto = proto
        self.credentials = credentials
        self.channels = []
        self.pd_channel = self.channel(pd_address)
        self.pd = proto.pdpb_pb2_grpc.PDStub(self.pd_channel)
        members = self.pd.GetMembers(proto.pdpb_pb2.GetMembersRequest(), timeout=10)
        self.cluster_id = members.header.cluster_id
        stores = self.pd.GetAllStores(proto.pdpb_pb2.GetAllStoresRequest(header=self.header()), timeout=10).stores
        self.store_channels = {store.id: self.channel(store.address) for store in stores}
        self.stores = {
            store: proto.tikvpb_pb2_grpc.TikvStub(channel) for store, channel in self.store_channels.items()
        }

    def channel(self, address):
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        if self.credentials is None:
            channel = grpc.insecure_channel(address, options=options)
        else:
            channel = grpc.secure_channel(address, self.credentials, options=options)
        self.channels.append(channel)
        return channel

    def close(self):
        for channel in self.channels:
            channel.close()

    def header(self):
        return self.proto.pdpb_pb2.RequestHeader(cluster_id=self.cluster_id)

    def region(self, key):
        """PD's answer for the region that holds the key."""
        request = self.proto.pdpb_pb2.GetRegionRequest(header=self.header(), region_key=key)
        return self.pd.GetRegion(request, timeout=10)

    def context(self, key):
        """The context of a request to the leader of the key's region, and that leader's stub."""
        found = self.region(key)
        context = self.proto.kvrpcpb_pb2.Context(
            region_id=found.region.id, region_epoch=found.region.region_epoch, peer=found.leader
        )
        return context, self.stores[found.leader.store_id]

    def raw_put(self, key, value):
        context, store = self.context(key)
        return store.RawPut(self.proto.kvrpcpb_pb2.RawPutRequest(context=context, key=key, value=value), timeout=10)

    def raw_get(self, key):
        context, store = self.context(key)
        return store.RawGet(self.proto.kvrpcpb_pb2.RawGetRequest(context=context, key=key), timeout=10)


@pytest.fixture
def cluster(proto, playground, ours):
    cluster = Cluster(proto, playground.pd)
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def txn_playground(proto):
    """A playground whose regions are cut where transactional keys are, which are encoded."""
    playground = Playground("--stores", "3")
    cluster = Cluster(proto, playground.pd)
    context, store = cluster.context(b"")
    request = proto.kvrpcpb_pb2.SplitRegionRequest(context=context, split_keys=SPLIT_KEYS)
    assert len(store.SplitRegion(request, timeout=10).regions) == len(SPLIT_KEYS) + 1
    cluster.close()
    yield playground
    assert playground.process.poll() is None, "the playground died during the tests"
    assert playground.stop() == (0, "")


@pytest.fixture
def txn_cluster(proto, txn_playground):
    cluster = Cluster(proto, txn_playground.pd)
    yield cluster
    cluster.close()
