# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""The transport against grpcio, each as the client of the other, when all goes well and when it does not."""

import json
import socket
import threading
from concurrent import futures

import grpc
import pytest
from peers import PATIENCE, ForeignServer, OurServer, Proxy, encoded, eventually, our_client, pattern

STATUSES = {code.value[0]: code for code in grpc.StatusCode}
SWIFT_NAMES = {
    0: "ok", 1: "cancelled", 2: "unknown", 3: "invalidArgument", 4: "deadlineExceeded", 5: "notFound",
    6: "alreadyExists", 7: "permissionDenied", 8: "resourceExhausted", 9: "failedPrecondition", 10: "aborted",
    11: "outOfRange", 12: "unimplemented", 13: "internalError", 14: "unavailable", 15: "dataLoss",
    16: "unauthenticated",
}
TEXTS = ["", "plain", "100 % wrong: ü\n\t", "\u0000 \u007f 漢字 🙂", "%", "%zz %41", " space at both ends "]
BINARIES = [b"", b"\x00", b"\xff\x00\x7f", bytes(range(256)), b"ab", b"abc", b"abcd"]
LARGE = 64 << 20


@pytest.fixture(scope="module")
def server():
    """Our server."""
    server = OurServer()
    yield server
    assert server.process.poll() is None, "our server died during the tests"
    assert server.stop() == 0


@pytest.fixture
def channel(server):
    with server.channel() as channel:
        yield channel


@pytest.fixture
def foreign():
    server = ForeignServer()
    yield server
    server.stop()


@pytest.fixture
def ours(foreign):
    with our_client(foreign.port) as client:
        yield client


# --- grpcio calls our server ------------------------------------------------------------------------------------------


def test_server_unary(channel):
    assert channel.unary("Unary")(b"\x00hello", timeout=PATIENCE) == b"\x00hello"
    assert channel.unary("Unary")(b"", timeout=PATIENCE) == b""


def test_server_client_stream(channel):
    assert channel.collect("Collect")(iter([b"", b"x" * 5, b"y" * 70_000]), timeout=PATIENCE) == b"0 5 70000"
    assert channel.collect("Collect")(iter([]), timeout=PATIENCE) == b""


def test_server_server_stream(channel):
    sizes = [0, 1, 16_384, 100_000, 3]
    answers = list(channel.spread("Spread")(" ".join(map(str, sizes)).encode(), timeout=PATIENCE))
    assert answers == [pattern(size) for size in sizes]


def test_server_both_ways_one_after_the_other(channel):
    ready = threading.Semaphore(1)

    def requests():
        for number in range(100):
            # Each request waits for the answer before it: neither side may hold anything back.
            assert ready.acquire(timeout=PATIENCE)
            yield b"%d" % number

    for number, answer in enumerate(channel.both("Echo")(requests(), timeout=PATIENCE)):
        assert answer == b"%d" % number
        ready.release()
    assert number == 99


@pytest.mark.parametrize("number", [number for number in STATUSES if number])
def test_server_statuses(channel, number):
    metadata = [("x-status", str(number)), ("x-message-bin", b"why")]
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary("Unary")(b"", metadata=metadata, timeout=PATIENCE)
    assert failure.value.code() == STATUSES[number]
    assert failure.value.details() == "why"
    # In the middle of a stream, the status comes in trailers after messages.
    stream = channel.spread("Spread")(b"7 8", metadata=metadata, timeout=PATIENCE)
    assert [len(next(stream)), len(next(stream))] == [7, 8]
    with pytest.raises(grpc.RpcError) as failure:
        next(stream)
    assert failure.value.code() == STATUSES[number]


@pytest.mark.parametrize("text", TEXTS)
def test_server_status_messages(channel, text):
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary("Unary")(
            b"", metadata=[("x-status", "9"), ("x-message-bin", text.encode())], timeout=PATIENCE)
    assert failure.value.details() == text


def test_server_metadata_comes_back(channel):
    metadata = [("x-status", "9"), ("x-echo", "a"), ("x-echo", "b, c")]
    metadata += [("x-echo-bin", value) for value in BINARIES]
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary("Unary")(b"", metadata=metadata, timeout=PATIENCE)
    trailers = [tuple(field) for field in failure.value.trailing_metadata()]
    assert [field for field in trailers if field[0].startswith("x-echo")] == metadata[1:]


def test_server_unknown_method_is_unimplemented(channel):
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary("NoSuch")(b"", timeout=PATIENCE)
    assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_server_sees_the_deadline(server, channel):
    before = server.stats()["cancelled"]
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary("Wait")(b"", timeout=0.3)
    assert failure.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: server.stats()["cancelled"] > before, "the handler is cancelled")


@pytest.mark.parametrize("name", ["Wait", "Deaf"])
def test_server_sees_a_cancellation(server, channel, name):
    before = server.stats()
    if name == "Wait":
        call = channel.unary("Wait").future(b"")
    else:
        call = channel.both("Deaf")(iter([b"x"]))
    eventually(lambda: server.stats()["waiting"] > before["waiting"], "the handler runs")
    call.cancel()
    eventually(lambda: server.stats()["cancelled"] > before["cancelled"], "the handler is cancelled")
    assert channel.unary("Unary")(b"still there", timeout=PATIENCE) == b"still there"


def test_server_sees_a_client_that_is_gone(server):
    before = server.stats()
    with server.channel() as channel:
        calls = [channel.unary("Wait").future(b"") for _ in range(50)]
        eventually(lambda: server.stats()["waiting"] >= before["waiting"] + 50, "the handlers run")
    assert {call.code() for call in calls} == {grpc.StatusCode.CANCELLED}
    eventually(lambda: server.stats()["cancelled"] >= before["cancelled"] + 50, "the handlers are cancelled")


def test_server_large_messages(channel):
    message = pattern(LARGE)
    assert channel.unary("Unary")(message, timeout=PATIENCE) == message
    assert list(channel.both("Echo")(iter([message, b"x"]), timeout=PATIENCE)) == [message, b"x"]


def test_server_limit_of_message_size():
    server = OurServer(message_limit=1000)
    try:
        with server.channel() as channel:
            assert len(channel.unary("Unary")(bytes(990), timeout=PATIENCE)) == 990
            for call in [lambda: channel.unary("Unary")(bytes(1001), timeout=PATIENCE),
                         lambda: list(channel.both("Echo")(iter([bytes(5_000_000)]), timeout=PATIENCE)),
                         lambda: list(channel.spread("Spread")(b"2000", timeout=PATIENCE))]:
                with pytest.raises(grpc.RpcError) as failure:
                    call()
                assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                assert "1000" in failure.value.details()
            assert channel.unary("Unary")(b"still there", timeout=PATIENCE) == b"still there"
    finally:
        assert server.stop() == 0


def test_server_thousands_of_calls_at_once(channel):
    calls = [channel.unary("Unary").future(b"%d" % number, timeout=PATIENCE) for number in range(5_000)]
    assert [call.result() for call in calls] == [b"%d" % number for number in range(5_000)]


def test_server_thousands_of_streams_at_once(server, channel):
    before = server.stats()["waiting"]
    calls = [channel.unary("Wait").future(b"") for _ in range(2_000)]
    eventually(lambda: server.stats()["waiting"] == before + 2_000, "all of them run")
    for call in calls:
        call.cancel()
    eventually(lambda: server.stats()["waiting"] == before, "all of them end")


def test_server_is_held_back_by_a_client_that_does_not_read(server):
    before = server.stats()["poured"]
    # By itself, grpcio opens its windows as far as 64 MiB while they are filled quickly.
    narrow = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1 << 16)]
    with server.channel(*narrow) as channel:
        call = channel.both("Pour")(iter([]))
        next(call)
        # It goes on as long as windows have room, and then stops: the same number twice, a while apart.
        counts = [-1]

        def is_at_rest():
            counts.append(server.stats()["poured"])
            return counts[-1] > before and len(counts) > 30 and len(set(counts[-30:])) == 1

        eventually(is_at_rest, "the server stops")
        # 10 kB each; the sockets' buffers take some of it too.
        assert counts[-1] - before < 2_500
        call.cancel()


def test_server_with_a_client_that_closes_its_socket_in_mid_message(server, channel):
    proxy = Proxy(server.port, cut_after=100_000)
    with grpc.insecure_channel(f"127.0.0.1:{proxy.port}", options=[("grpc.enable_retries", 0)]) as cut:
        call = cut.unary_unary("/tikv.test.Peer/Unary")
        with pytest.raises(grpc.RpcError) as failure:
            call(b"\x0a\x80\x80\x80\x01" + bytes(1 << 21), timeout=PATIENCE)
        assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
    proxy.close()
    assert channel.unary("Unary")(b"still there", timeout=PATIENCE) == b"still there"


# --- Our client calls grpcio's server ---------------------------------------------------------------------------------


def assert_code(outcome, number, count=1):
    assert outcome["codes"] == {SWIFT_NAMES[number]: count}, outcome


def test_client_unary(ours):
    for size in [0, 1, 5, 100_000]:
        outcome = ours.call("Unary", size=size, timeout=60_000)
        assert_code(outcome, 0)
        assert outcome["same"] and outcome["received"] == [size]


def test_client_streams(ours, foreign):
    outcome = ours.call("Collect", send=[0, 5, 70_000], timeout=60_000)
    assert_code(outcome, 0)
    assert outcome["received"] == [len(b"0 5 70000")]
    outcome = ours.call("Echo", send=[1, 2, 300_000, 0], timeout=60_000)
    assert_code(outcome, 0)
    assert outcome["received"] == [1, 2, 300_000, 0]
    outcome = ours.call("Echo", send=[], timeout=60_000)
    assert_code(outcome, 0)
    assert outcome["received"] == []


@pytest.mark.parametrize("number", [number for number in STATUSES if number])
def test_client_statuses(ours, number):
    options = {"metadata": [["x-status", str(number)]], "binary": [["x-message-bin", encoded(b"why")]]}
    outcome = ours.call("Unary", size=1, **options)
    assert_code(outcome, number)
    assert outcome["message"] == "why"
    assert outcome["deliveries"] == {"answered": 1}
    # Trailers after messages.
    outcome = ours.call("Echo", send=[7, 8], **options)
    assert_code(outcome, number)
    assert outcome["received"] == [7, 8]
    assert outcome["deliveries"] == {"answered": 1}


@pytest.mark.parametrize("text", TEXTS)
def test_client_status_messages(ours, text):
    outcome = ours.call(
        "Unary", metadata=[["x-status", "9"]], binary=[["x-message-bin", encoded(text.encode())]])
    assert_code(outcome, 9)
    assert outcome["message"] == text


def test_client_trailers_only(ours):
    outcome = ours.call("Nothing", send=[1])
    assert_code(outcome, 10)
    assert outcome["message"] == "at once"
    assert_code(ours.call("NoSuch", size=1), 12)


def test_client_metadata_both_ways(ours, foreign):
    outcome = ours.call(
        "Unary", metadata=[["x-status", "9"], ["x-echo", "a, b"]],
        binary=[["x-echo-bin", encoded(value)] for value in BINARIES])
    assert_code(outcome, 9)
    assert foreign.seen["x-echo"] == "a, b"
    fields = [value for name, value in outcome["metadata"] if name == "x-echo-bin"]
    # grpcio may join the values of a name by commas.
    parts = ",".join(fields).split(",")
    assert [part.rstrip("=") for part in parts] == [encoded(value).rstrip("=") for value in BINARIES]
    assert ["x-echo", "a, b"] in outcome["metadata"]


def test_client_deadline(ours, foreign):
    outcome = ours.call("Wait", size=1, timeout=300)
    assert_code(outcome, 4)
    # The server keeps the same deadline; its own answer may be there first.
    assert outcome["deliveries"] in ({"unknown": 1}, {"answered": 1})
    # The other side learns that nobody waits any more.
    assert foreign.cancelled.acquire(timeout=PATIENCE)


@pytest.mark.parametrize("order", [{"call": "Wait", "size": 1}, {"call": "Deaf", "send": [1], "open": True}])
def test_client_cancellation_is_seen(ours, foreign, order):
    number = ours.start(**order)
    foreign.entered.get(timeout=PATIENCE)
    ours.cancel(number)
    assert_code(ours.outcome(number), 1)
    assert foreign.cancelled.acquire(timeout=PATIENCE)
    assert_code(ours.call("Unary", size=1), 0)


def test_client_that_leaves_a_stream_is_seen(ours, foreign):
    outcome = ours.call("Echo", send=[1, 2, 3], open=True, leaveAfter=2)
    assert_code(outcome, 0)
    assert outcome["received"] == [1, 2]
    assert_code(ours.call("Unary", size=1), 0)


def test_client_two_messages_where_one_was_due(ours):
    outcome = ours.call("Twice", size=1)
    assert_code(outcome, 13)


def test_client_large_messages(ours):
    outcome = ours.call("Unary", size=LARGE, timeout=100_000)
    assert_code(outcome, 0)
    assert outcome["same"] and outcome["received"] == [LARGE]
    outcome = ours.call("Echo", send=[LARGE, 1], timeout=100_000)
    assert outcome["received"] == [LARGE, 1]


def test_client_limit_of_message_size(foreign):
    with our_client(foreign.port, messageLimit=1000) as client:
        outcome = client.call("Unary", size=1001)
        assert_code(outcome, 8)
        assert "1000" in outcome["message"]
        assert_code(client.call("Unary", size=990), 0)


def test_client_thousands_of_calls_at_once(ours):
    outcome = ours.call("Unary", size=100, count=5_000, timeout=100_000)
    assert_code(outcome, 0, 5_000)
    assert outcome["same"]


def test_client_over_the_servers_limit_of_streams():
    """More calls than the server takes at once wait for their turn, and some are cancelled while they wait."""
    server = ForeignServer(("grpc.max_concurrent_streams", 3), threads=8)
    try:
        with our_client(server.port) as client:
            held = client.start("Hold", size=1, count=3, timeout=100_000)
            for _ in range(3):
                server.entered.get(timeout=PATIENCE)
            waiting = client.start("Unary", size=1, count=500, timeout=100_000)
            expired = client.start("Unary", size=1, count=50, timeout=200)
            cancelled = [client.start("Echo", send=[1], open=True) for _ in range(20)]
            assert_code(client.outcome(expired), 4, 50)
            for number in cancelled:
                client.cancel(number)
            for number in cancelled:
                assert_code(client.outcome(number), 1)
            server.hold.set()
            assert_code(client.outcome(held), 0, 3)
            assert_code(client.outcome(waiting), 0, 500)
    finally:
        server.stop()


def test_client_with_a_server_that_goes_away_in_mid_traffic(foreign):
    """GOAWAY: what is under way finishes, what comes later finds no server; nothing hangs and nothing is called failed
    that may have happened."""
    with our_client(foreign.port) as client:
        held = client.start("Hold", size=1, count=10)
        for _ in range(10):
            foreign.entered.get(timeout=PATIENCE)
        stopped = foreign.server.stop(PATIENCE)
        outcome = client.call("Unary", size=1, count=20)
        assert outcome["codes"] == {"unavailable": 20}
        assert outcome["deliveries"] == {"notSent": 20}
        foreign.hold.set()
        assert_code(client.outcome(held), 0, 10)
        assert stopped.wait(PATIENCE)


def test_client_with_a_server_that_ends_connections_by_age():
    """grpcio sends GOAWAY again and again while calls are made: none of them fails."""
    server = ForeignServer(("grpc.max_connection_age_ms", 150), ("grpc.max_connection_age_grace_ms", 20_000))
    try:
        with our_client(server.port, connections=2) as client:
            for _ in range(20):
                outcome = client.call("Unary", size=2_000, count=300, timeout=60_000)
                assert_code(outcome, 0, 300)
    finally:
        server.stop()


@pytest.mark.parametrize("cut_after", [0, 5, 40, 200, 30_000, 100_000])
def test_client_with_a_connection_cut_in_mid_message(foreign, cut_after):
    proxy = Proxy(foreign.port, cut_after=cut_after)
    with our_client(proxy.port) as client:
        outcome = client.call("Unary", size=200_000, timeout=60_000)
        assert_code(outcome, 14)
        if cut_after > 200:
            assert outcome["deliveries"] == {"unknown": 1}
        # And the next call gets a connection that works.
        proxy.cut_after = None
        eventually(lambda: client.call("Unary", size=1)["codes"] == {"ok": 1}, "a new connection")
    proxy.close()


def test_client_with_a_server_that_does_not_read(foreign):
    with our_client(foreign.port) as client:
        outcome = client.call("Deaf", send=[10_000], flood=True, timeout=2_000)
        assert_code(outcome, 4)
        # Windows and buffers on the way take some of it, and then the sender is held back.
        assert 0 < outcome["sent"] < 5_000
        assert foreign.cancelled.acquire(timeout=PATIENCE)
        assert_code(client.call("Unary", size=1), 0)


def test_client_with_a_peer_that_never_answers():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with our_client(silent.getsockname()[1]) as client:
            outcome = client.call("Unary", size=1, timeout=500)
            assert_code(outcome, 4)
            assert outcome["deliveries"] == {"notSent": 1}
            # Without a deadline, the time to connect is limited.
            outcome = client.call("Unary", size=1)
            assert_code(outcome, 14)
            assert "no HTTP/2 settings" in outcome["message"]


def test_client_with_a_peer_that_falls_silent(foreign):
    """Nothing comes through any more, and nothing is closed: only a ping tells."""
    proxy = Proxy(foreign.port)
    with our_client(proxy.port, keepAlive=300) as client:
        assert_code(client.call("Unary", size=1), 0)
        proxy.stall_after = 0
        outcome = client.call("Unary", size=1)
        assert_code(outcome, 14)
        assert "ping" in outcome["message"]
        assert outcome["deliveries"] == {"unknown": 1}
    proxy.close()


def test_client_with_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with our_client(port) as client:
        outcome = client.call("Unary", size=1, timeout=60_000)
        assert_code(outcome, 14)
        assert "refused" in outcome["message"]
        assert outcome["deliveries"] == {"notSent": 1}


# --- compression ------------------------------------------------------------------------------------------------------

TEXT = b"what repeats can be made small; " * 4_000


@pytest.mark.parametrize("asks", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("answers", [False, True], ids=["plain", "gzip"])
def test_server_gzip(asks, answers):
    """What grpcio compresses our server reads, and the other way round; small messages and empty ones among them."""
    server = OurServer(gzip=answers)
    proxy = Proxy(server.port)
    try:
        compression = grpc.Compression.Gzip if asks else grpc.Compression.NoCompression
        with server.channel(address=f"127.0.0.1:{proxy.port}", compression=compression) as channel:
            messages = [TEXT, b"", b"x", TEXT[:200], TEXT * 10]
            for message in messages:
                assert channel.unary("Unary")(message, timeout=PATIENCE) == message
            assert list(channel.both("Echo")(iter(messages), timeout=PATIENCE)) == messages
            assert channel.collect("Collect")(iter(messages), timeout=PATIENCE) == b"128000 0 1 200 1280000"
            with pytest.raises(grpc.RpcError) as failure:
                channel.unary("Unary")(TEXT, metadata=[("x-status", "5"), ("x-message-bin", b"no")], timeout=PATIENCE)
            assert failure.value.code() == grpc.StatusCode.NOT_FOUND
        # Three times all of them were asked with, twice answered.
        assert (proxy.carried[0] < len(TEXT)) == asks
        assert (proxy.carried[1] < len(TEXT)) == answers
    finally:
        proxy.close()
        assert server.stop() == 0


@pytest.mark.parametrize("asks", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("answers", [False, True], ids=["plain", "gzip"])
def test_client_gzip(asks, answers):
    foreign = ForeignServer(compression=grpc.Compression.Gzip if answers else None)
    proxy = Proxy(foreign.port)
    try:
        with our_client(proxy.port, gzip=asks) as ours:
            for size in [0, 1, 127, 128, 1 << 20]:
                outcome = ours.call("Unary", size=size, count=3)
                assert outcome["codes"] == {"ok": 3} and outcome["same"]
            sizes = [0, 70_000, 1, 1 << 20]
            outcome = ours.call("Echo", send=sizes)
            assert outcome["codes"] == {"ok": 1} and outcome["received"] == sizes
            outcome = ours.call("Unary", size=100_000, metadata=[["x-status", "5"]])
            assert outcome["codes"] == {"notFound": 1}
        assert foreign.seen.get("grpc-encoding") in (None, "gzip")
        assert (proxy.carried[0] < 4 << 20) == asks
        assert (proxy.carried[1] < 4 << 20) == answers
    finally:
        proxy.close()
        foreign.stop()


def test_gzip_is_no_way_around_limits():
    server = OurServer(message_limit=100_000)
    foreign = ForeignServer(compression=grpc.Compression.Gzip)
    try:
        with server.channel(compression=grpc.Compression.Gzip) as channel:
            with pytest.raises(grpc.RpcError) as failure:
                channel.unary("Unary")(bytes(50_000_000), timeout=PATIENCE)
            assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert channel.unary("Unary")(b"still there", timeout=PATIENCE) == b"still there"
        with our_client(foreign.port, messageLimit=100_000) as ours:
            outcome = ours.call("Unary", size=20_000_000)
            assert outcome["codes"] == {"resourceExhausted": 1}
            assert ours.call("Unary", size=5)["codes"] == {"ok": 1}
    finally:
        foreign.stop()
        assert server.stop() == 0


def test_server_that_stops_in_mid_traffic():
    server = OurServer()
    with server.channel() as channel:
        answered = [channel.unary("Unary").future(b"%d" % number, timeout=PATIENCE) for number in range(100)]
        waiting = [channel.unary("Wait").future(b"", timeout=PATIENCE) for _ in range(100)]
        stream = channel.both("Pour")(iter([]), timeout=PATIENCE)
        next(stream)
        eventually(lambda: server.stats()["waiting"] == 100, "the handlers run")
        assert server.stop() == 0
        assert [call.result() for call in answered] == [b"%d" % number for number in range(100)]
        assert {call.code() for call in waiting} <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        with pytest.raises(grpc.RpcError):
            for _ in stream:
                pass


# --- our server drains ------------------------------------------------------------------------------------------------


def test_server_drain_finishes_what_was_begun_and_refuses_the_rest():
    server = OurServer()
    with server.channel() as channel:
        held = [channel.unary("Hold").future(b"%d" % number, timeout=PATIENCE) for number in range(50)]
        more = threading.Semaphore(1)

        def requests():
            for number in range(20):
                assert more.acquire(timeout=PATIENCE)
                yield b"%d" % number

        stream = channel.both("Echo")(requests(), timeout=PATIENCE)
        assert next(stream) == b"0"
        eventually(lambda: server.stats()["waiting"] == 50, "the handlers run")
        server.order("drain 50000")

        def is_refused():
            try:
                with server.channel() as other:
                    other.unary("Unary")(b"", timeout=PATIENCE)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAVAILABLE
                return True
            return False

        eventually(is_refused, "nobody listens any more")
        # On the connection that drains, too.
        with pytest.raises(grpc.RpcError) as failure:
            channel.unary("Unary")(b"late", timeout=PATIENCE)
        assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
        for number in range(1, 20):
            more.release()
            assert next(stream) == b"%d" % number
        assert list(stream) == []
        assert not any(call.done() for call in held)
        server.order("open")
        assert [call.result() for call in held] == [b"%d" % number for number in range(50)]
        server.ended()


def test_server_drains_in_mid_traffic_again_and_again():
    """One server after the other takes over the port. Callers wait for a server where there is none, and otherwise see
    nothing of it: each call is handled once, by one of the servers."""
    callers, calls = 8, 400
    server = OurServer()
    served = 0
    done = []

    def takes_over(port):
        found = []

        def starts():
            try:
                found.append(OurServer(port=port))
            except OSError:
                return False
            return True

        eventually(starts, "the port is free")
        return found[0]

    with futures.ThreadPoolExecutor(callers) as workers, server.channel() as channel:
        unary = channel._make("unary_unary", "Unary")

        def load(caller):
            for number in range(calls):
                text = b"%d %d" % (caller, number)
                assert unary(text, timeout=PATIENCE, wait_for_ready=True) == text
                done.append(text)

        running = [workers.submit(load, caller) for caller in range(callers)]
        for turn in range(1, 4):
            eventually(lambda: len(done) >= callers * calls * turn // 5, "traffic goes on")
            server.order("drain 50000")
            successor = takes_over(server.port)
            served += server.ended()
            server = successor
        for caller in running:
            caller.result()
    assert server.stop() == 0
    served += json.loads(server.process.stdout.readline())["served"]
    assert len(set(done)) == callers * calls
    assert served == callers * calls


def test_server_drain_has_an_end():
    server = OurServer()
    with server.channel() as channel:
        calls = [channel.unary("Wait").future(b"", timeout=PATIENCE) for _ in range(10)]
        eventually(lambda: server.stats()["waiting"] == 10, "the handlers run")
        server.order("drain 100")
        server.ended()
        assert {call.code() for call in calls} <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def test_both_under_load_with_calls_that_come_and_go(server):
    """Short calls, long streams and cancellations at the same time on few connections."""
    with futures.ThreadPoolExecutor(8) as workers, server.channel() as channel:
        def load(number):
            for turn in range(20):
                cancelled = channel.unary("Wait").future(b"")
                stream = channel.both("Echo")(iter([pattern(10_000)] * 5), timeout=PATIENCE)
                assert len(list(stream)) == 5
                assert channel.unary("Unary")(b"%d" % turn, timeout=PATIENCE) == b"%d" % turn
                cancelled.cancel()

        list(workers.map(load, range(8)))
