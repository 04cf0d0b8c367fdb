# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""A PD of three members, as grpcio and plain HTTP see it, and what tikv-cli says about it."""

import json
import urllib.error
import urllib.request

import grpc
import pytest
from conftest import Cluster, OurClient, Playground

TIMEOUT = 10


@pytest.fixture(scope="module")
def three():
    playground = Playground("--stores", "3", "--pd-members", "3", "--split-keys", "m")
    yield playground
    assert playground.stop() == (0, "")


@pytest.fixture
def members(proto, three):
    """A cluster for each member of PD, asked by its own address; the first leads."""
    clusters = []
    for address in three.pd.split(","):
        if clusters:
            channel = clusters[0].channel(address)
            clusters.append(proto.pdpb_pb2_grpc.PDStub(channel))
        else:
            clusters.append(Cluster(proto, address))
    yield clusters
    clusters[0].close()


def test_all_members_name_the_same_leader(members, proto, three):
    request = proto.pdpb_pb2.GetMembersRequest()
    answers = [stub.GetMembers(request, timeout=TIMEOUT) for stub in [members[0].pd, *members[1:]]]
    urls = [f"http://{address}" for address in three.pd.split(",")]
    for answer in answers:
        assert [list(member.client_urls) for member in answer.members] == [[url] for url in urls]
        assert answer.leader == answer.members[0]


def test_followers_answer_only_where_they_may(members, proto):
    request = proto.pdpb_pb2.GetRegionRequest(header=members[0].header(), region_key=b"a")
    with pytest.raises(grpc.RpcError) as failure:
        members[1].GetRegion(request, timeout=TIMEOUT)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "not leader" in failure.value.details()
    allowed = members[1].GetRegion(request, timeout=TIMEOUT, metadata=[("pd-allow-follower-handle", "")])
    assert allowed.region == members[0].region(b"a").region
    stores = proto.pdpb_pb2.GetAllStoresRequest(header=members[0].header())
    with pytest.raises(grpc.RpcError):
        members[1].GetAllStores(stores, timeout=TIMEOUT, metadata=[("pd-allow-follower-handle", "")])


def test_followers_pass_calls_on(members, proto, three):
    leader = [("pd-forwarded-host", f"http://{three.pd.split(',')[0]}")]
    stores = proto.pdpb_pb2.GetAllStoresRequest(header=members[0].header())
    assert len(members[2].GetAllStores(stores, timeout=TIMEOUT, metadata=leader).stores) == 3
    request = proto.pdpb_pb2.TsoRequest(header=members[0].header(), count=3)
    [answer] = members[2].Tso(iter([request]), timeout=TIMEOUT, metadata=leader)
    assert answer.count == 3
    with pytest.raises(grpc.RpcError) as failure:
        list(members[2].Tso(iter([request]), timeout=TIMEOUT))
    assert "not leader" in failure.value.details()


def test_http_on_the_same_port(three):
    for address in three.pd.split(","):
        with urllib.request.urlopen(f"http://{address}/pd/api/v1/members", timeout=TIMEOUT) as response:
            found = json.load(response)
        assert len(found["members"]) == 3 and found["leader"]["name"] == "pd-1"
    with urllib.request.urlopen(f"http://{address}/pd/api/v1/min-resolved-ts?scope=1,2", timeout=TIMEOUT) as response:
        assert json.load(response)["stores_min_resolved_ts"] == {"1": 0, "2": 0}
    with pytest.raises(urllib.error.HTTPError) as failure:
        urllib.request.urlopen(f"http://{address}/pd/api/v1/store/99", timeout=TIMEOUT)
    assert failure.value.code == 404


def test_timestamps_of_the_command_line(three):
    ours = OurClient(three.pd)
    result = ours.run("tso", "--pd", three.pd, "--count", "5")
    assert (result.returncode, result.stderr) == (0, "")
    rows = [tuple(map(int, line.split("\t"))) for line in result.stdout.splitlines()]
    assert len(rows) == 5 and rows == sorted(set(rows))
    assert all(timestamp == (physical << 18) + logical for timestamp, physical, logical in rows)
    assert ours.run("tso", str(rows[0][0])).stdout == result.stdout.splitlines()[0] + "\n"


def test_regions_and_stores_of_the_command_line(three):
    ours = OurClient(three.pd)

    def lines(*arguments, code=0):
        result = ours.run(*arguments, "--pd", three.pd)
        assert result.returncode == code
        return [line.split("\t") for line in result.stdout.splitlines()]

    regions = lines("region", "list")
    assert [row[1:3] for row in regions] == [["", "m"], ["m", ""]]
    assert lines("region", "get", "z") == [regions[1]]
    assert lines("region", "get", "--id", regions[0][0]) == [regions[0]]
    assert lines("region", "get", "--id", "9999", code=1) == []
    created = lines("region", "split", "t")
    assert len(created) == 1 and len(lines("region", "list")) == 3
    assert lines("region", "scatter", created[0][0]) == []
    stores = lines("store")
    assert [row[0] for row in stores] == ["1", "2", "3"] and all(row[2] == "up" for row in stores)
    assert lines("store", "2") == [stores[1]]
    assert lines("store", "99", code=1) == []


def test_bench_of_timestamps(three):
    arguments = ["--in-flight", "8", "--seconds", "0.2", "--warm-up", "0", "--json"]
    result = OurClient(three.pd).run("bench", "tso", "--pd", three.pd, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    measured = json.loads(result.stdout)
    assert measured["operation"] == "tso" and measured["count"] > 0
