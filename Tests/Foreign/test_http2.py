# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""Our server against a client that breaks the rules: RFC 9113 section by section (after h2spec), then gRPC's own.

Frames are made by hand. Each case says how the server must answer, and after each the server still serves another client.
"""

import socket
import struct

import hpack
import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from peers import PATIENCE, OurServer, eventually

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY, ACK = 0x1, 0x4, 0x8, 0x20, 0x1
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 5, 6, 9, 11
REQUEST = [
    (":method", "POST"), (":scheme", "http"), (":path", "/tikv.test.Peer/Unary"), (":authority", "x"),
    ("content-type", "application/grpc"), ("te", "trailers"),
]


def request(**changes):
    """A request's headers; `path="/x"` changes a field, `path=None` leaves it out."""
    known = {"method", "scheme", "path", "authority"}
    changes = {(":" + name if name in known else name.replace("_", "-")): value for name, value in changes.items()}
    fields = [(name, changes.pop(name, value)) for name, value in REQUEST]
    return [(name, value) for name, value in [*fields, *changes.items()] if value is not None]


def message(value=b"hello", flag=0, length=None):
    body = BytesValue(value=value).SerializeToString()
    return struct.pack(">BI", flag, len(body) if length is None else length) + body


def frame(kind, flags, stream, payload=b"", length=None):
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def setting(number, value):
    return struct.pack(">HI", number, value)


class Raw:
    """A connection that says what it is told to."""

    def __init__(self, server, preface=PREFACE, settings=b""):
        self.socket = socket.create_connection(("127.0.0.1", server.port))
        self.socket.settimeout(PATIENCE)
        self.input = b""
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.frames = []
        if preface:
            self.send(preface + frame(SETTINGS, 0, 0, settings))

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # The server has hung up; what it said is still to be read.

    def block(self, fields):
        return self.encoder.encode(fields)

    def headers(self, stream, fields=None, end=False, **changes):
        block = self.block(request(**changes) if fields is None else fields)
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block))

    def call(self, stream, body=None, **changes):
        self.headers(stream, **changes)
        self.send(frame(DATA, END_STREAM, stream, message() if body is None else body))

    def read(self):
        """The next frame as (type, flags, stream, payload); None when the server has closed the connection."""
        while len(self.input) < 9 or len(self.input) < 9 + int.from_bytes(self.input[:3], "big"):
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self.input += data
        size = int.from_bytes(self.input[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.input[3:9])
        payload, self.input = self.input[9:9 + size], self.input[9 + size:]
        if kind == HEADERS:
            payload = self.decoder.decode(payload)
        self.frames.append((kind, flags, stream, payload))
        return self.frames[-1]

    def until(self, *conditions):
        """The first frame that one of the conditions holds for; None when the connection closes before."""
        while (found := self.read()) is not None:
            if any(condition(*found) for condition in conditions):
                return found
        return None

    def response(self, stream):
        """All headers and trailers of a response, and its messages' bytes."""
        fields, body = {}, b""
        while True:
            found = self.until(lambda kind, flags, id, payload: id == stream and kind in (HEADERS, DATA, RST_STREAM))
            assert found is not None, "the connection was closed"
            kind, flags, _, payload = found
            assert kind != RST_STREAM, f"reset: {payload}"
            if kind == HEADERS:
                fields.update(payload)
            else:
                body += payload
            if flags & END_STREAM:
                return fields, body

    def expect_connection_error(self, *codes):
        found = self.until(lambda kind, *_: kind == GOAWAY)
        assert found is not None, "closed without GOAWAY"
        assert struct.unpack(">I", found[3][4:8])[0] in codes
        assert self.until(lambda *_: False) is None

    def expect_stream_error(self, stream, *codes):
        """RST_STREAM, and the connection goes on; a connection error is allowed in its place (RFC 9113, 5.4)."""
        found = self.until(lambda kind, flags, id, payload: kind == GOAWAY or (kind, id) == (RST_STREAM, stream))
        assert found is not None, "closed without a word"
        kind, _, _, payload = found
        assert struct.unpack(">I", payload[4:8] if kind == GOAWAY else payload)[0] in codes
        if kind == RST_STREAM:
            self.expect_alive(stream + 100)
        return kind

    def expect_alive(self, stream=201):
        """Pings are answered, and so are calls."""
        self.send(frame(PING, 0, 0, b"12345678"))
        assert self.until(lambda kind, flags, id, payload: kind == PING) == (PING, ACK, 0, b"12345678")
        self.call(stream)
        fields, body = self.response(stream)
        assert (fields[":status"], fields["grpc-status"], body) == ("200", "0", message())

    def close(self):
        self.socket.close()


@pytest.fixture(scope="module")
def server():
    server = OurServer(message_limit=1 << 20)
    yield server
    assert server.process.poll() is None, "the server died during the tests"
    assert server.stop() == 0


@pytest.fixture
def raw(server):
    raw = Raw(server)
    yield raw
    raw.close()
    other = Raw(server)
    other.expect_alive(1)
    other.close()


# --- 3.4: the preface ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preface", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", PREFACE[:10] + b"x" * 40, bytes(64)])
def test_preface_that_is_none(server, raw, preface):
    other = Raw(server, preface=None)
    other.send(preface)
    assert other.until(lambda kind, *_: kind == HEADERS) is None


def test_preface_without_settings(server, raw):
    other = Raw(server, preface=None)
    other.send(PREFACE + frame(PING, 0, 0, bytes(8)))
    other.expect_connection_error(PROTOCOL_ERROR)


def test_preface_in_pieces(server, raw):
    other = Raw(server, preface=None)
    for byte in PREFACE + frame(SETTINGS, 0, 0):
        other.send(bytes([byte]))
    other.expect_alive()


# --- 4: frames ----------------------------------------------------------------------------------------------------------


def test_unknown_frame_type_is_ignored(raw):
    raw.send(frame(0x16, 0xFF, 0, b"whatever"))
    raw.expect_alive()


def test_undefined_flags_and_reserved_bit_are_ignored(raw):
    raw.send(frame(PING, 0xFE, 0x8000_0000, b"abcdefgh"))
    assert raw.until(lambda kind, *_: kind == PING)[3] == b"abcdefgh"
    raw.expect_alive()


@pytest.mark.parametrize("kind", [DATA, HEADERS, SETTINGS, 0x16])
def test_frame_over_the_largest_size(raw, kind):
    raw.headers(1)
    # The length alone tells.
    raw.send(frame(kind, 0, 0 if kind == SETTINGS else 1, b"", length=(1 << 20) + 1))
    raw.expect_connection_error(FRAME_SIZE_ERROR)


def test_header_block_that_cannot_be_decoded(raw):
    raw.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff\xff\xff\xff\xff"))
    raw.expect_connection_error(COMPRESSION_ERROR)


@pytest.mark.parametrize("between", [
    frame(PRIORITY, 0, 1, bytes(5)), frame(HEADERS, END_HEADERS, 3, b""), frame(PING, 0, 0, bytes(8)),
    frame(0x16, 0, 0, b""), frame(DATA, 0, 1, b""), frame(CONTINUATION, END_HEADERS, 3, b""),
])
def test_frame_in_the_middle_of_a_header_block(raw, between):
    block = raw.block(request())
    raw.send(frame(HEADERS, 0, 1, block[:5]) + between)
    raw.expect_connection_error(PROTOCOL_ERROR)


# --- 5.1: states of a stream ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [
    frame(DATA, END_STREAM, 1, b"x"), frame(RST_STREAM, 0, 1, bytes(4)), frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"),
    frame(CONTINUATION, END_HEADERS, 1, b""),
])
def test_idle_stream(raw, bad):
    raw.send(bad)
    raw.expect_connection_error(PROTOCOL_ERROR)


@pytest.mark.parametrize("kind", [DATA, HEADERS])
def test_half_closed_stream(raw, kind):
    raw.call(1, path="/tikv.test.Peer/Wait")
    if kind == DATA:
        raw.send(frame(DATA, END_STREAM, 1, b"more"))
    else:
        raw.headers(1, end=True)
    raw.expect_stream_error(1, STREAM_CLOSED)


def test_half_closed_stream_takes_windows_priorities_and_resets(server, raw):
    before = server.stats()["cancelled"]
    raw.call(1, path="/tikv.test.Peer/Wait")
    raw.send(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1") + frame(PRIORITY, 0, 1, b"\0\0\0\0\1"))
    raw.expect_alive(3)
    raw.send(frame(RST_STREAM, 0, 1, struct.pack(">I", 8)))
    eventually(lambda: server.stats()["cancelled"] > before, "the reset reaches the handler")
    raw.expect_alive(5)


@pytest.mark.parametrize("kind", [DATA, HEADERS])
def test_closed_stream(raw, kind):
    """RFC 9113 wants STREAM_CLOSED. nghttp2 forgets closed streams, and ignores what comes for them: no second call."""
    raw.call(1)
    raw.response(1)
    if kind == DATA:
        raw.send(frame(DATA, END_STREAM, 1, b"more"))
    else:
        raw.headers(1, end=True)
    raw.expect_alive()
    assert sum(kind == HEADERS and stream == 1 for kind, _, stream, _ in raw.frames) == 2


def test_closed_stream_takes_late_frames(raw):
    """What was under way when a stream was closed is no fault."""
    raw.call(1)
    raw.response(1)
    raw.send(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1") + frame(RST_STREAM, 0, 1, bytes(4)))
    raw.send(frame(PRIORITY, 0, 1, b"\0\0\0\0\1"))
    raw.expect_alive()


def test_stream_number_that_is_even(raw):
    raw.headers(2)
    raw.expect_connection_error(PROTOCOL_ERROR)


def test_stream_number_that_is_lower_than_one_before(raw):
    """It counts as closed, so it is ignored like one (see above)."""
    raw.call(5)
    raw.response(5)
    raw.call(3)
    raw.expect_alive()
    assert not any(stream == 3 for _, _, stream, _ in raw.frames)


@pytest.mark.parametrize("kind", [HEADERS, PRIORITY])
def test_stream_that_depends_on_itself(raw, kind):
    dependency = struct.pack(">IB", 1, 1)
    if kind == PRIORITY:
        raw.send(frame(PRIORITY, 0, 1, dependency))
    else:
        block = raw.block(request())
        raw.send(frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, dependency + block))
    raw.expect_stream_error(1, PROTOCOL_ERROR)


# --- 6: one kind of frame after the other ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bad,code", [
    (frame(DATA, END_STREAM, 0, b"x"), PROTOCOL_ERROR),
    (frame(HEADERS, END_HEADERS | END_STREAM, 0, b""), PROTOCOL_ERROR),
    (frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\x05\x00"), PROTOCOL_ERROR),
    (frame(PRIORITY, 0, 0, bytes(5)), PROTOCOL_ERROR),
    (frame(RST_STREAM, 0, 0, bytes(4)), PROTOCOL_ERROR),
    (frame(RST_STREAM, 0, 1, bytes(3)), FRAME_SIZE_ERROR),
    (frame(SETTINGS, ACK, 0, b"x"), FRAME_SIZE_ERROR),
    (frame(SETTINGS, 0, 1, setting(4, 70_000)), PROTOCOL_ERROR),
    (frame(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE_ERROR),
    (frame(SETTINGS, 0, 0, setting(2, 2)), PROTOCOL_ERROR),
    (frame(SETTINGS, 0, 0, setting(4, 1 << 31)), FLOW_CONTROL_ERROR),
    (frame(SETTINGS, 0, 0, setting(5, 16_383)), PROTOCOL_ERROR),
    (frame(SETTINGS, 0, 0, setting(5, 1 << 24)), PROTOCOL_ERROR),
    (frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2"), PROTOCOL_ERROR),
    (frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
    (frame(PING, 0, 0, bytes(6)), FRAME_SIZE_ERROR),
    (frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
    (frame(GOAWAY, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    (frame(WINDOW_UPDATE, 0, 0, bytes(4)), PROTOCOL_ERROR),
    (frame(WINDOW_UPDATE, 0, 0, bytes(3)), FRAME_SIZE_ERROR),
    (frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", (1 << 31) - 1)), FLOW_CONTROL_ERROR),
    (frame(CONTINUATION, END_HEADERS, 0, b""), PROTOCOL_ERROR),
], ids=lambda value: value.hex() if isinstance(value, bytes) else str(value))
def test_frames_that_cost_the_connection(raw, bad, code):
    raw.send(bad)
    raw.expect_connection_error(code)


def test_data_with_padding_longer_than_itself(raw):
    raw.headers(1)
    raw.send(frame(DATA, END_STREAM | PADDED, 1, b"\x09abc"))
    raw.expect_connection_error(PROTOCOL_ERROR)


def test_data_with_padding(raw):
    raw.headers(1)
    raw.send(frame(DATA, END_STREAM | PADDED, 1, b"\x07" + message() + bytes(7)))
    assert raw.response(1)[1] == message()


def test_priority_of_a_wrong_size(raw):
    raw.send(frame(PRIORITY, 0, 1, bytes(4)))
    raw.expect_stream_error(1, FRAME_SIZE_ERROR)


def test_settings_are_acknowledged(raw):
    raw.send(frame(SETTINGS, 0, 0, setting(1, 0) + setting(3, 5) + setting(0x99, 7)))
    for _ in range(2):
        assert raw.until(lambda kind, flags, *_: kind == SETTINGS and flags & ACK)
    raw.expect_alive()


def test_ping_acknowledgement_is_not_answered(raw):
    raw.send(frame(PING, ACK, 0, b"nobody's"))
    raw.expect_alive()


def test_window_update_of_zero_on_a_stream(raw):
    raw.headers(1)
    raw.send(frame(WINDOW_UPDATE, 0, 1, bytes(4)))
    raw.expect_stream_error(1, PROTOCOL_ERROR)


def test_window_of_a_stream_that_overflows(raw):
    raw.headers(1)
    raw.send(frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", (1 << 31) - 1)))
    raw.expect_stream_error(1, FLOW_CONTROL_ERROR)


def test_windows_are_kept(server, raw):
    """With a window of one byte the server sends one, and the rest when there is room."""
    other = Raw(server, settings=setting(4, 1))
    other.call(1)
    size = len(message())
    parts = []
    for _ in range(size):
        parts.append(other.until(lambda kind, *_: kind == DATA)[3])
        other.send(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"))
    assert parts == [message()[index:index + 1] for index in range(size)]
    other.close()


def test_window_that_becomes_negative(server, raw):
    other = Raw(server, settings=setting(4, 10))
    other.call(1, message(bytes(40)))
    assert len(other.until(lambda kind, *_: kind == DATA)[3]) == 10
    # Now it is at minus five: five more open nothing, six open one.
    other.send(frame(SETTINGS, 0, 0, setting(4, 5)) + frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\5"))
    other.send(frame(PING, 0, 0, bytes(8)))
    assert other.until(lambda kind, *_: kind in (DATA, PING))[0] == PING
    other.send(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"))
    assert len(other.until(lambda kind, *_: kind == DATA)[3]) == 1
    other.close()


def test_goaway_of_a_client_lets_its_calls_finish(raw):
    raw.headers(1)
    raw.send(frame(GOAWAY, 0, 0, bytes(8)))
    raw.send(frame(DATA, END_STREAM, 1, message()))
    assert raw.response(1)[0]["grpc-status"] == "0"


def test_headers_in_continuations(raw):
    block = raw.block(request())
    # nghttp2 takes eight of them: see below.
    size = len(block) // 6
    pieces = [block[index:index + size] for index in range(0, len(block), size)]
    raw.send(frame(HEADERS, 0, 1, pieces[0]))
    for piece in pieces[1:-1]:
        raw.send(frame(CONTINUATION, 0, 1, piece))
    raw.send(frame(CONTINUATION, END_HEADERS, 1, pieces[-1]) + frame(DATA, END_STREAM, 1, message()))
    assert raw.response(1)[0]["grpc-status"] == "0"
    raw.send(frame(CONTINUATION, END_HEADERS, 1, b""))
    raw.expect_connection_error(PROTOCOL_ERROR)


# --- 8: requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [
    request(Upper="x"), request(connection="keep-alive"), request(transfer_encoding="chunked"),
    [*request(te=None), ("te", "gzip")], [("x", "y"), *request()], [*request(), (":path", "/again")],
    [*request(), (":unknown", "x")], [*request(), (":status", "200")], request(method=None), request(scheme=None),
    request(path=None), request(path=""), request(path="*"), [*request(), (":method", "POST")], [*request(), ("bad name", "x")],
    [*request(), ("x", "bad\nvalue")], [*request(), ("x", "bad\0value")],
], ids=lambda fields: fields[-1][0] if fields[:6] == REQUEST[:6] else fields[0][0] + str(len(fields)))
def test_requests_that_are_malformed(raw, fields):
    raw.headers(1, fields, end=False)
    raw.expect_stream_error(1, PROTOCOL_ERROR)


def test_trailers_that_end_nothing(raw):
    raw.headers(1)
    raw.headers(1, [("x", "y")], end=False)
    raw.expect_stream_error(1, PROTOCOL_ERROR)


def test_trailers_with_pseudo_fields(raw):
    raw.headers(1)
    raw.headers(1, [(":method", "POST")], end=True)
    raw.expect_stream_error(1, PROTOCOL_ERROR)


def test_trailers_of_a_request_are_taken(raw):
    raw.headers(1)
    raw.send(frame(DATA, 0, 1, message()))
    raw.headers(1, [("x", "y")], end=True)
    assert raw.response(1)[0]["grpc-status"] == "0"


@pytest.mark.parametrize("length", ["3", "4000"])
def test_content_length_that_does_not_hold(raw, length):
    raw.call(1, content_length=length)
    raw.expect_stream_error(1, PROTOCOL_ERROR)


# --- gRPC -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/grp", None])
def test_content_type_that_is_not_grpc(raw, kind):
    raw.headers(1, content_type=kind, end=True)
    assert raw.response(1)[0] == {":status": "415"}
    raw.expect_alive()


@pytest.mark.parametrize("kind", ["application/grpc+proto", "application/grpc;charset=utf-8"])
def test_content_types_of_grpc(raw, kind):
    raw.call(1, content_type=kind)
    assert raw.response(1)[0]["grpc-status"] == "0"


def test_method_that_is_not_post(raw):
    raw.headers(1, method="GET", end=True)
    assert raw.response(1)[0][":status"] == "405"
    raw.expect_alive()


@pytest.mark.parametrize("path", ["/", "/tikv.test.Peer", "/tikv.test.Peer/unary", "/tikv.test.Peer/Unary/"])
def test_path_that_is_unknown(raw, path):
    raw.call(1, path=path)
    fields, _ = raw.response(1)
    assert (fields[":status"], fields["grpc-status"]) == ("200", "12")
    raw.expect_alive()


@pytest.mark.parametrize("text", ["", "5", "S", "5s", "-1S", "123456789S", "1.5S", "5 S", "soon"])
def test_timeout_that_is_none(raw, text):
    raw.call(1, grpc_timeout=text)
    assert raw.response(1)[0]["grpc-status"] == "13"
    raw.expect_alive()


@pytest.mark.parametrize("text", ["99999999H", "5S", "60000m", "1M"])
def test_timeouts(raw, text):
    raw.call(1, grpc_timeout=text)
    assert raw.response(1)[0]["grpc-status"] == "0"


def test_timeout_that_passes(raw):
    raw.call(1, path="/tikv.test.Peer/Wait", grpc_timeout="1m")
    assert raw.response(1)[0]["grpc-status"] == "4"
    raw.expect_alive()


def test_encoding_that_is_unknown(raw):
    raw.call(1, grpc_encoding="x-none-such")
    assert raw.response(1)[0]["grpc-status"] == "12"
    raw.expect_alive()


@pytest.mark.parametrize("body,status", [
    (b"", "13"), (b"\0\0\0", "13"), (message()[:-1], "13"), (message(length=100), "13"), (message() * 2, "13"),
    (message(flag=1), "13"), (message(flag=2), "13"), (b"\0\0\0\0\3\xff\xff\xff", "13"),
    (message(length=(1 << 20) + 1), "8"), (b"\0\xff\xff\xff\xff", "8"),
], ids=["none", "part of a prefix", "cut", "longer than the rest", "two", "compressed", "flag 2", "no protobuf",
        "over the limit", "4 GiB"])
def test_messages_that_are_broken(raw, body, status):
    raw.call(1, body)
    assert raw.response(1)[0]["grpc-status"] == status
    raw.expect_alive()


def test_message_over_the_limit_is_refused_before_it_comes(raw):
    raw.headers(1)
    raw.send(frame(DATA, 0, 1, b"\0\x7f\xff\xff\xff"))
    assert raw.response(1)[0]["grpc-status"] == "8"
    raw.expect_alive()


# --- Floods ---------------------------------------------------------------------------------------------------------------


def expect_alive_or_calm(raw):
    """The server may end a connection that does this; it must not go down, and others are served (see `raw`)."""
    raw.send(frame(PING, 0, 0, b"12345678"))
    found = raw.until(lambda kind, flags, id, payload: kind == GOAWAY or payload == b"12345678")
    if found is not None and found[0] == GOAWAY:
        assert struct.unpack(">I", found[3][4:8])[0] in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR, INTERNAL_ERROR)


def test_many_streams_that_are_reset_at_once(server, raw):
    block = hpack.Encoder().encode(request(path="/tikv.test.Peer/Wait"), huffman=False)
    raw.encoder = None
    for start in range(0, 5_000, 100):
        burst = b""
        for number in range(start, start + 100):
            stream = 2 * number + 1
            # The first block fills the table; after that each field is one byte.
            if number == 1:
                encoder = hpack.Encoder()
                encoder.encode(request(path="/tikv.test.Peer/Wait"))
                block = encoder.encode(request(path="/tikv.test.Peer/Wait"))
            burst += frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, message())
            burst += frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
        raw.send(burst)
    expect_alive_or_calm(raw)
    raw.close()
    eventually(lambda: server.stats()["waiting"] == 0, "no handler is left")


@pytest.mark.parametrize("flood", [
    frame(PING, 0, 0, bytes(8)), frame(SETTINGS, 0, 0, setting(4, 70_000)), frame(PRIORITY, 0, 1, b"\0\0\0\0\1"),
    frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"), frame(0x16, 0, 0, bytes(10)), frame(RST_STREAM, 0, 1, bytes(4)),
], ids=["ping", "settings", "priority", "window", "unknown", "reset"])
def test_floods(raw, flood):
    raw.call(1)
    raw.response(1)
    for _ in range(100):
        raw.send(flood * 200)
    expect_alive_or_calm(raw)


def test_empty_data_without_end(raw):
    raw.headers(1)
    for _ in range(100):
        raw.send(frame(DATA, 0, 1, b"") * 200)
    expect_alive_or_calm(raw)


def test_header_block_without_end(raw):
    raw.send(frame(HEADERS, 0, 1, raw.block(request())))
    for _ in range(200):
        raw.send(frame(CONTINUATION, 0, 1, b"\0\1x" + b"\x7f\x81\x07" + bytes(1024)) * 10)
    # It is cut off, politely or not, before the server has kept much of it.
    found = raw.until(lambda kind, *_: kind == GOAWAY)
    assert found is None or struct.unpack(">I", found[3][4:8])[0] != NO_ERROR
    assert raw.read() is None


def test_headers_over_the_limit_cost_their_stream(raw):
    fields = [*request(), *[("x", "v" * 1000)] * 100]
    raw.headers(1, fields)
    raw.expect_stream_error(1, INTERNAL_ERROR, ENHANCE_YOUR_CALM, PROTOCOL_ERROR)


def test_client_that_vanishes_in_mid_frame(raw):
    raw.send(frame(HEADERS, END_HEADERS, 1, raw.block(request()))[:12])
    raw.close()


# --- the server's own end -----------------------------------------------------------------------------------------------


def test_drain_names_the_last_stream_only_when_the_client_knows():
    server = OurServer()
    raw = Raw(server)
    raw.headers(1, path="/tikv.test.Peer/Echo")
    raw.send(frame(DATA, 0, 1, message(b"a")))
    assert raw.until(lambda kind, flags, id, payload: kind == DATA)[3] == message(b"a")
    server.order("drain 50000")
    notice = raw.until(lambda kind, *_: kind == GOAWAY)
    assert struct.unpack(">II", notice[3][:8]) == (2**31 - 1, NO_ERROR)
    ping = raw.until(lambda kind, *_: kind == PING)
    # Begun before the answer to the ping, as by a client that has not heard yet: it is served.
    raw.call(3)
    assert raw.response(3)[0]["grpc-status"] == "0"
    raw.send(frame(PING, ACK, 0, ping[3]))
    last = raw.until(lambda kind, *_: kind == GOAWAY)
    assert struct.unpack(">II", last[3][:8]) == (3, NO_ERROR)
    # Too late: it is not looked at.
    raw.call(5)
    raw.send(frame(DATA, END_STREAM, 1, message(b"b")))
    fields, body = raw.response(1)
    assert (fields["grpc-status"], body) == ("0", message(b"b"))
    assert not any(id == 5 and kind == HEADERS for kind, _, id, _ in raw.frames)
    # And then the server hangs up itself.
    assert raw.until(lambda kind, *_: kind in (DATA, HEADERS)) is None
    assert server.ended() == 1


def test_drain_brings_everything_to_a_client_that_reads_late():
    """The last answer is in the sockets' buffers, and the client still sends when the server is done."""
    server = OurServer()
    raw = Raw(server, settings=setting(4, 2**31 - 1))
    raw.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1 - 65535)))
    size = 32 << 20
    raw.call(1, body=message(b"%d" % size), path="/tikv.test.Peer/Spread")
    assert raw.until(lambda kind, flags, id, payload: kind == DATA) is not None
    server.order("drain 50000")
    with pytest.raises(ConnectionRefusedError):
        for _ in range(100_000):
            socket.create_connection(("127.0.0.1", server.port)).close()
    # It answers the ping before it has seen it, and sends on.
    for _ in range(50):
        raw.send(frame(PING, ACK, 0, bytes(8)))
    fields, _ = raw.response(1)
    raw.send(frame(PING, ACK, 0, bytes(8)))
    assert fields["grpc-status"] == "0"
    body = sum(len(payload) for kind, _, id, payload in raw.frames if (kind, id) == (DATA, 1))
    assert body > size
    assert raw.until(lambda kind, *_: kind in (DATA, HEADERS)) is None
    server.ended()
