// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import CNGHTTP2
package import NIOCore

/// The one owner of an nghttp2 session, in either role: bytes and commands go in, bytes and events come out.
///
/// It has no socket and no clock. After `receive` or `drain` the owner takes the events and acts on them; commands only
/// queue frames, which the next `drain` turns into bytes. Not thread-safe: it belongs to one event loop.
@safe package struct HTTP2Session: ~Copyable {
    package enum Role: Sendable {
        case client
        case server
    }

    private let session: OpaquePointer
    /// At an address of its own, which nghttp2 hands to its callbacks.
    private let context: UnsafeMutablePointer<HTTP2SessionContext>

    package init(_ role: Role, configuration: HTTP2Configuration = .init()) throws(RPCError) {
        let callbacks = unsafe try HTTP2Callbacks.make()
        defer { unsafe nghttp2_session_callbacks_del(callbacks) }
        var option: OpaquePointer?
        guard unsafe nghttp2_option_new(&option) == 0 else { throw Self.outOfMemory }
        defer { unsafe nghttp2_option_del(option) }
        // Windows open again when the application has read, not when bytes arrive: a slow reader holds the peer back.
        unsafe nghttp2_option_set_no_auto_window_update(option, 1)
        unsafe nghttp2_option_set_no_closed_streams(option, 1)
        if role == .client {
            // gRPC's C core puts an error's message into its header as it is, with spaces at its ends too: not worth the
            // loss of the status.
            unsafe tikv_nghttp2_option_allow_spaces_at_ends(option)
        }
        var made: OpaquePointer?
        // The context outlives the session: this struct owns both, and frees the session first.
        let context = UnsafeMutablePointer<HTTP2SessionContext>.allocate(capacity: 1)
        unsafe context.initialize(
            to: HTTP2SessionContext(
                isServer: role == .server, maxHeaderListSize: configuration.maxHeaderListSize))
        let result =
            switch role {
            case .client: unsafe nghttp2_session_client_new2(&made, callbacks, context, option)
            case .server: unsafe nghttp2_session_server_new2(&made, callbacks, context, option)
            }
        guard result == 0, let session = unsafe made else {
            unsafe Self.free(context)
            throw Self.outOfMemory
        }
        if let refusal = unsafe Self.submitSettings(session, role, configuration) {
            unsafe nghttp2_session_del(session)
            unsafe Self.free(context)
            throw RPCError(.invalidArgument, "HTTP/2 settings: \(refusal)", delivery: .notSent)
        }
        unsafe self.session = session
        unsafe self.context = context
    }

    deinit {
        unsafe nghttp2_session_del(self.session)
        unsafe Self.free(self.context)
    }

    @unsafe private static func free(_ context: UnsafeMutablePointer<HTTP2SessionContext>) {
        unsafe context.deinitialize(count: 1)
        unsafe context.deallocate()
    }

    // MARK: - Bytes

    /// Feeds bytes from the peer. Throws where they are not HTTP/2; the session is of no more use then, but for `drain`,
    /// which may hold a last GOAWAY.
    package mutating func receive(_ input: ByteBuffer) throws(RPCError) {
        let read: Int = unsafe input.withUnsafeReadableBytes { bytes in
            unsafe self.context.pointee.begin(input, base: UInt(bitPattern: bytes.baseAddress))
            let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return unsafe nghttp2_session_mem_recv(self.session, start, bytes.count)
        }
        unsafe self.context.pointee.endInput()
        guard read >= 0 else {
            let reason = self.takeComplaint() ?? HTTP2Callbacks.describe(Int32(truncatingIfNeeded: read))
            throw RPCError(.unavailable, "the peer broke the HTTP/2 protocol: \(reason)")
        }
    }

    /// Appends what is to be sent, until at least `limit` bytes were appended or nothing is left.
    /// Returns whether there may be more.
    package mutating func drain(into output: inout ByteBuffer, limit: Int = 1 << 20) throws(RPCError) -> Bool {
        var total = 0
        while total < limit {
            var bytes: UnsafePointer<UInt8>?
            let count = unsafe nghttp2_session_mem_send(self.session, &bytes)
            if count == 0 { return false }
            guard count > 0 else {
                throw RPCError(
                    .internalError,
                    "HTTP/2 framing failed: \(HTTP2Callbacks.describe(Int32(truncatingIfNeeded: count)))")
            }
            unsafe output.writeBytes(UnsafeRawBufferPointer(start: bytes, count: count))
            total += count
        }
        return true
    }

    /// What happened since the last call, in order.
    package mutating func takeEvents() -> [HTTP2Event] {
        unsafe self.context.pointee.takeEvents()
    }

    /// The session is at its end: nothing more to read or to write.
    package var isFinished: Bool {
        unsafe nghttp2_session_want_read(self.session) == 0 && nghttp2_session_want_write(self.session) == 0
    }

    /// Streams that are not closed.
    package var openStreams: Int { unsafe self.context.pointee.openStreams }

    /// What nghttp2 last found wrong with the peer's frames; told once.
    package mutating func takeComplaint() -> String? { unsafe self.context.pointee.takeComplaint() }

    /// Gives the slot of a stream back, after its `closed` event and when the owner keeps nothing under it any more.
    package mutating func release(_ stream: HTTP2Stream) {
        unsafe self.context.pointee.freeSlot(stream.slot)
    }

    // MARK: - Commands

    /// Opens a stream (client role). Waits inside the session while the peer's limit of streams is reached.
    package mutating func request(
        _ headers: HeaderList, more: HeaderList? = nil, body: [UInt8], finished: Bool
    ) throws(RPCError) -> HTTP2Stream {
        let slot = unsafe self.context.pointee.takeSlot(OutboundBody(body, end: finished ? .finished : .open))
        var source = unsafe Self.dataProvider(slot)
        let user = unsafe UnsafeMutableRawPointer(bitPattern: slot + 1)
        let id = unsafe headers.withFields(followedBy: more) {
            unsafe nghttp2_submit_request(self.session, nil, $0.baseAddress, $0.count, &source, user)
        }
        guard id > 0 else {
            unsafe self.context.pointee.freeSlot(slot)
            throw RPCError(.unavailable, "no new stream: \(HTTP2Callbacks.describe(id))", delivery: .notSent)
        }
        unsafe self.context.pointee.setStream(id, of: slot)
        return HTTP2Stream(id: id, slot: slot)
    }

    /// Sends response headers (server role); the body follows by `send` and `finish`.
    package mutating func respond(_ stream: HTTP2Stream, _ headers: HeaderList) {
        var source = unsafe Self.dataProvider(stream.slot)
        // Fails only for a stream that is gone; its `closed` event says so.
        _ = unsafe headers.withFields {
            unsafe nghttp2_submit_response(self.session, stream.id, $0.baseAddress, $0.count, &source)
        }
    }

    /// Sends a response that is headers alone (server role): gRPC's form for an early error.
    package mutating func respondOnly(_ stream: HTTP2Stream, _ headers: HeaderList) {
        _ = unsafe headers.withFields {
            unsafe nghttp2_submit_response(self.session, stream.id, $0.baseAddress, $0.count, nil)
        }
    }

    /// Queues body bytes.
    package mutating func send(_ bytes: [UInt8], on stream: HTTP2Stream) {
        self.extend(stream, bytes, end: nil)
    }

    /// Ends our side after what is queued, with trailers or without.
    package mutating func finish(_ stream: HTTP2Stream, trailers: HeaderList? = nil) {
        self.extend(stream, nil, end: trailers.map { .trailers($0) } ?? .finished)
    }

    /// Bytes that are queued on the stream and wait for the peer's window. Nil where the stream is gone.
    package func queuedBytes(_ stream: HTTP2Stream) -> Int? {
        unsafe self.context.pointee.queuedBytes(stream)
    }

    /// Ends the stream at once, both ways. Its `closed` event comes with a later `drain`. What was reset is not reset
    /// again: a stream that waits for the peer's limit is known to nghttp2 as cancelled, and a second RST_STREAM would
    /// go out for a stream that the peer never saw, which costs the connection.
    package mutating func reset(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
        guard unsafe self.context.pointee.markReset(stream) else { return }
        _ = unsafe nghttp2_submit_rst_stream(self.session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, code.rawValue)
    }

    /// Says that body bytes were read, so that the peer may send as many again.
    package mutating func consume(_ count: Int, on stream: HTTP2Stream) {
        _ = unsafe nghttp2_session_consume(self.session, stream.id, count)
    }

    /// The same for the connection's window alone: the stream's own stays as it is until the application has read.
    package mutating func consumeConnection(_ count: Int) {
        _ = unsafe nghttp2_session_consume_connection(self.session, count)
    }

    /// The same for the stream's window alone.
    package mutating func consumeStream(_ count: Int, on stream: HTTP2Stream) {
        _ = unsafe nghttp2_session_consume_stream(self.session, stream.id, count)
    }

    package mutating func ping(_ value: UInt64) {
        unsafe withUnsafeBytes(of: value.bigEndian) { bytes in
            let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            _ = unsafe nghttp2_submit_ping(self.session, UInt8(NGHTTP2_FLAG_NONE.rawValue), start)
        }
    }

    /// Announces that the connection takes no new streams (server role): the first half of a graceful end.
    package mutating func announceShutdown() {
        _ = unsafe nghttp2_submit_shutdown_notice(self.session)
    }

    /// Sends GOAWAY for the streams seen so far; those that are open may finish. Returns the last of them: a stream after
    /// it that still comes before the GOAWAY is drained is the owner's to refuse.
    @discardableResult package mutating func goAway(_ code: HTTP2ErrorCode) -> Int32 {
        let last = unsafe nghttp2_session_get_last_proc_stream_id(self.session)
        _ = unsafe nghttp2_submit_goaway(
            self.session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, code.rawValue, nil, 0)
        return last
    }

    // MARK: - Private

    private static var outOfMemory: RPCError {
        RPCError(.resourceExhausted, "out of memory for an HTTP/2 session", delivery: .notSent)
    }

    private static func dataProvider(_ slot: Int) -> nghttp2_data_provider {
        unsafe nghttp2_data_provider(
            source: nghttp2_data_source(fd: Int32(truncatingIfNeeded: slot)), read_callback: HTTP2Callbacks.readBody)
    }

    private mutating func extend(_ stream: HTTP2Stream, _ bytes: [UInt8]?, end: OutboundBody.End?) {
        guard unsafe self.context.pointee.extend(stream, bytes, end: end) else { return }
        _ = unsafe nghttp2_session_resume_data(self.session, stream.id)
    }

    /// Queues our settings. Returns what nghttp2 finds wrong with them.
    @unsafe private static func submitSettings(
        _ session: OpaquePointer, _ role: Role, _ configuration: HTTP2Configuration
    ) -> String? {
        func entry(_ id: nghttp2_settings_id, _ value: Int) -> nghttp2_settings_entry {
            nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(clamping: value))
        }
        var entries = [
            entry(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, configuration.streamWindow),
            entry(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, configuration.maxFrameSize),
            entry(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, configuration.maxHeaderListSize),
        ]
        switch role {
        case .client: entries.append(entry(NGHTTP2_SETTINGS_ENABLE_PUSH, 0))
        case .server:
            entries.append(entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, configuration.maxConcurrentStreams))
        }
        let flags = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        var result = unsafe nghttp2_submit_settings(session, flags, entries, entries.count)
        if result == 0 {
            let window = Int32(clamping: configuration.connectionWindow)
            result = unsafe nghttp2_session_set_local_window_size(session, flags, 0, window)
        }
        return result == 0 ? nil : HTTP2Callbacks.describe(result)
    }
}
