# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""grpcio, Google's gRPC client, against the playground: the protocol as such, and PD's and TiKV's answers to the byte."""

import socket
import threading

import grpc
import pytest
from conftest import SPLIT_KEYS

TIMEOUT = 10


def code_of(call, *arguments, **options):
    """The status code of a call that is to fail."""
    with pytest.raises(grpc.RpcError) as failure:
        call(*arguments, **options)
    return failure.value.code()


# --- PD ---------------------------------------------------------------------------------------------------------------


def test_members(cluster, proto, playground):
    members = cluster.pd.GetMembers(proto.pdpb_pb2.GetMembersRequest(), timeout=TIMEOUT)
    assert members.header.cluster_id != 0
    assert not members.header.HasField("error")
    assert members.leader.member_id in [member.member_id for member in members.members]
    assert f"http://{playground.pd}" in members.leader.client_urls


def test_cluster_is_bootstrapped(cluster, proto):
    request = proto.pdpb_pb2.IsBootstrappedRequest(header=cluster.header())
    assert cluster.pd.IsBootstrapped(request, timeout=TIMEOUT).bootstrapped


def test_wrong_cluster_id(cluster, proto):
    header = proto.pdpb_pb2.RequestHeader(cluster_id=cluster.cluster_id + 1)
    request = proto.pdpb_pb2.GetRegionRequest(header=header, region_key=b"a")
    assert code_of(cluster.pd.GetRegion, request, timeout=TIMEOUT) == grpc.StatusCode.FAILED_PRECONDITION


def test_timestamps_grow(cluster, proto):
    counts = [1, 10, 1, 1000, 1]
    requests = (proto.pdpb_pb2.TsoRequest(header=cluster.header(), count=count) for count in counts)
    answers = list(cluster.pd.Tso(requests, timeout=TIMEOUT))
    assert [answer.count for answer in answers] == counts
    # The logical part is that of the last of `count` timestamps, so the first of an answer is above the last before it.
    last = [(answer.timestamp.physical << 18) + answer.timestamp.logical for answer in answers]
    first = [timestamp - count + 1 for timestamp, count in zip(last, counts)]
    assert all(before < after for before, after in zip(last, first[1:]))


def test_timestamps_grow_from_stream_to_stream(cluster, proto):
    def take():
        request = proto.pdpb_pb2.TsoRequest(header=cluster.header(), count=1)
        [answer] = cluster.pd.Tso(iter([request]), timeout=TIMEOUT)
        return answer.timestamp.physical, answer.timestamp.logical

    taken = [take() for _ in range(20)]
    assert taken == sorted(set(taken))


def test_regions_meet_without_gap(cluster, proto):
    request = proto.pdpb_pb2.ScanRegionsRequest(header=cluster.header(), start_key=b"", limit=100)
    regions = [found.region for found in cluster.pd.ScanRegions(request, timeout=TIMEOUT).regions]
    assert [region.start_key for region in regions] == [b"", *SPLIT_KEYS]
    assert [region.end_key for region in regions] == [*SPLIT_KEYS, b""]
    assert len({region.id for region in regions}) == len(regions)


def test_region_by_key_by_id_and_before(cluster, proto):
    found = cluster.region(b"h")
    assert (found.region.start_key, found.region.end_key) == (b"h", b"p")
    assert found.leader in found.region.peers
    by_id = proto.pdpb_pb2.GetRegionByIDRequest(header=cluster.header(), region_id=found.region.id)
    assert cluster.pd.GetRegionByID(by_id, timeout=TIMEOUT).region == found.region
    before = proto.pdpb_pb2.GetRegionRequest(header=cluster.header(), region_key=b"h")
    assert cluster.pd.GetPrevRegion(before, timeout=TIMEOUT).region.end_key == b"h"


def test_stores(cluster, playground):
    assert len(cluster.stores) == playground.stores == 3


# --- TiKV -------------------------------------------------------------------------------------------------------------


def test_put_and_get(cluster):
    for key in [b"a", b"e", b"k", b"q", b"z"]:
        answer = cluster.raw_put(key, b"value of " + key)
        assert answer.error == "" and not answer.HasField("region_error")
        assert cluster.raw_get(key).value == b"value of " + key


def test_absent_key(cluster):
    answer = cluster.raw_get(b"a")
    assert answer.not_found and answer.value == b""


def test_empty_value_is_not_absent(cluster):
    assert cluster.raw_put(b"a", b"").error == ""
    found = cluster.raw_get(b"a")
    assert (found.not_found, found.value, found.error) == (False, b"", "")


def test_large_value(cluster):
    value = bytes(range(256)) * (4 << 12)
    assert len(value) == 4 << 20
    assert cluster.raw_put(b"a", value).error == ""
    assert cluster.raw_get(b"a").value == value


def test_many_calls_at_once_on_one_connection(cluster, proto):
    context, store = cluster.context(b"a")
    keys = [b"a/%04d" % index for index in range(2000)]
    puts = [
        store.RawPut.future(proto.kvrpcpb_pb2.RawPutRequest(context=context, key=key, value=key), timeout=60)
        for key in keys
    ]
    assert all(put.result().error == "" for put in puts)
    gets = [
        store.RawGet.future(proto.kvrpcpb_pb2.RawGetRequest(context=context, key=key), timeout=60) for key in keys
    ]
    assert [get.result().value for get in gets] == keys


# --- Region errors ----------------------------------------------------------------------------------------------------


def raw_get_error(store, proto, context, key):
    answer = store.RawGet(proto.kvrpcpb_pb2.RawGetRequest(context=context, key=key), timeout=TIMEOUT)
    assert answer.HasField("region_error")
    return answer.region_error


def test_epoch_mismatch(cluster, proto):
    context, store = cluster.context(b"e")
    context.region_epoch.version += 1
    error = raw_get_error(store, proto, context, b"e")
    assert error.HasField("epoch_not_match")
    assert cluster.region(b"e").region in error.epoch_not_match.current_regions


def test_not_leader(cluster, proto):
    found = cluster.region(b"e")
    context, _ = cluster.context(b"e")
    follower = next(peer for peer in found.region.peers if peer.store_id != found.leader.store_id)
    context.peer.CopyFrom(follower)
    error = raw_get_error(cluster.stores[follower.store_id], proto, context, b"e")
    assert error.not_leader.region_id == found.region.id
    assert error.not_leader.leader == found.leader


def test_key_not_in_region(cluster, proto):
    context, store = cluster.context(b"e")
    error = raw_get_error(store, proto, context, b"z")
    assert error.key_not_in_region.key == b"z"
    assert (error.key_not_in_region.start_key, error.key_not_in_region.end_key) == (b"d", b"h")


def test_region_not_found(cluster, proto):
    context, store = cluster.context(b"e")
    context.region_id = 1 << 40
    assert raw_get_error(store, proto, context, b"e").region_not_found.region_id == 1 << 40


def test_store_not_match(cluster, proto):
    context, store = cluster.context(b"e")
    actual = context.peer.store_id
    context.peer.store_id = 1 << 40
    error = raw_get_error(store, proto, context, b"e").store_not_match
    assert (error.request_store_id, error.actual_store_id) == (1 << 40, actual)


# --- gRPC -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/tikvpb.Tikv/NoSuchCall", "/no.such.Service/Call", "/"])
def test_unknown_method(cluster, path):
    for channel in [cluster.pd_channel, *cluster.store_channels.values()]:
        assert code_of(channel.unary_unary(path), b"", timeout=TIMEOUT) == grpc.StatusCode.UNIMPLEMENTED


def test_deadline_of_a_stream_that_stays_silent(cluster):
    over = threading.Event()

    def no_requests():
        over.wait(TIMEOUT)
        yield from ()

    with pytest.raises(grpc.RpcError) as failure:
        next(cluster.pd.Tso(no_requests(), timeout=0.3))
    over.set()
    assert failure.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert cluster.region(b"a").region.id != 0


def test_cancelled_stream_leaves_the_connection(cluster, proto):
    def requests():
        while True:
            yield proto.pdpb_pb2.TsoRequest(header=cluster.header(), count=1)

    for _ in range(20):
        stream = cluster.pd.Tso(requests(), timeout=TIMEOUT)
        next(stream)
        stream.cancel()
    assert cluster.region(b"a").region.id != 0


def test_broken_message_fails_its_call_only(cluster):
    _, store = cluster.context(b"a")
    for channel in cluster.store_channels.values():
        broken = channel.unary_unary("/tikvpb.Tikv/RawGet")
        # A length-delimited field that claims more bytes than there are.
        code = code_of(broken, b"\x12\x7f\x00", timeout=TIMEOUT)
        assert code not in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert cluster.raw_get(b"a").not_found


@pytest.mark.parametrize(
    "garbage",
    [
        # PD answers HTTP/1.1 too, and then keeps the connection unless it is asked not to.
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"\x00" * 1000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000,
        # A DATA frame for a stream that was never opened.
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\x00\x01\x00\x00\x00\x00\x00\x07x",
    ],
    ids=["http1", "zeros", "broken-frames", "data-without-stream"],
)
def test_broken_http2_costs_its_connection_only(cluster, playground, garbage):
    host, port = playground.pd.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection:
        connection.sendall(garbage)
        # The server says goodbye or nothing, and then closes; a timeout fails the test.
        try:
            while connection.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert cluster.region(b"a").region.id != 0


def test_connection_that_says_nothing_holds_up_nobody(cluster, playground):
    host, port = playground.pd.rsplit(":", 1)
    silent = [socket.create_connection((host, int(port)), timeout=TIMEOUT) for _ in range(20)]
    assert cluster.region(b"a").region.id != 0
    for connection in silent:
        connection.close()
