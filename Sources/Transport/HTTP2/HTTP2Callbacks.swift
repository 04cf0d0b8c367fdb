// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import CNGHTTP2

/// The C functions that nghttp2 calls. Each finds its context behind `user_data` and writes there what happened.
@safe enum HTTP2Callbacks {
    /// Returned to nghttp2 to give up on the whole session.
    private static let failure = Int32(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)

    static func make() throws(RPCError) -> OpaquePointer {
        var made: OpaquePointer?
        guard unsafe nghttp2_session_callbacks_new(&made) == 0, let callbacks = unsafe made else {
            throw RPCError(.resourceExhausted, "out of memory for an HTTP/2 session", delivery: .notSent)
        }
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { session, frame, user in
            unsafe HTTP2Callbacks.beginHeaders(session, frame, user)
        }
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, _, name, nameLength, value, valueLength, _, user in
            guard let context = unsafe HTTP2Callbacks.context(user) else { return HTTP2Callbacks.failure }
            let isAdmitted = unsafe context.pointee.header(
                UnsafeBufferPointer(start: name, count: nameLength),
                UnsafeBufferPointer(start: value, count: valueLength))
            // A refusal costs the peer this one stream.
            return isAdmitted ? 0 : Int32(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        }
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { session, frame, user in
            unsafe HTTP2Callbacks.frame(session, frame, user)
        }
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
            session, _, id, data, count, user in
            guard let context = unsafe HTTP2Callbacks.context(user),
                let stream = unsafe HTTP2Callbacks.stream(session, id)
            else { return 0 }
            let address = UInt(bitPattern: data)
            let isInside = unsafe context.pointee.data(stream, address: address, count: count)
            return isInside ? 0 : HTTP2Callbacks.failure
        }
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { session, id, code, user in
            guard let context = unsafe HTTP2Callbacks.context(user),
                let stream = unsafe HTTP2Callbacks.stream(session, id)
            else { return 0 }
            unsafe context.pointee.closed(stream, HTTP2ErrorCode(rawValue: code))
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, _, code, user in
            unsafe HTTP2Callbacks.context(user)?.pointee.complain(HTTP2Callbacks.describe(code))
            return 0
        }
        unsafe nghttp2_session_callbacks_set_error_callback2(callbacks) { _, _, message, length, user in
            guard let message = unsafe message else { return 0 }
            let bytes = unsafe UnsafeRawBufferPointer(start: message, count: length)
            unsafe HTTP2Callbacks.context(user)?.pointee.complain(unsafe String(decoding: bytes, as: UTF8.self))
            return 0
        }
        return unsafe callbacks
    }

    /// Fills a DATA frame from the body in the slot that the data source names.
    static let readBody: nghttp2_data_source_read_callback = { session, id, room, length, flags, source, user in
        guard let context = unsafe HTTP2Callbacks.context(user), let source = unsafe source, let room = unsafe room,
            let flags = unsafe flags
        else { return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }
        let target = unsafe UnsafeMutableRawBufferPointer(start: room, count: length)
        let slot = Int(unsafe source.pointee.fd)
        guard let (written, step) = unsafe context.pointee.readBody(slot, into: target) else {
            return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        }
        switch step {
        case .more:
            break
        case .starved:
            if written == 0 { return Int(NGHTTP2_ERR_DEFERRED.rawValue) }
        case .finished:
            unsafe flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
        case .trailers(let trailers):
            unsafe flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue | NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
            let result = unsafe trailers.withFields {
                unsafe nghttp2_submit_trailer(session, id, $0.baseAddress, $0.count)
            }
            if result != 0 { return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
        }
        return written
    }

    /// nghttp2's own words for one of its error codes.
    static func describe(_ code: Int32) -> String {
        unsafe String(cString: nghttp2_strerror(code))
    }

    // MARK: - Private

    /// The session's context, at the place that the session has reserved for it.
    @unsafe private static func context(
        _ user: UnsafeMutableRawPointer?
    ) -> UnsafeMutablePointer<HTTP2SessionContext>? {
        unsafe user?.assumingMemoryBound(to: HTTP2SessionContext.self)
    }

    /// The stream's handle: its slot is kept, plus one, as the stream's user data. Nil for streams that we do not keep.
    @unsafe private static func stream(_ session: OpaquePointer?, _ id: Int32) -> HTTP2Stream? {
        let slot = Int(bitPattern: unsafe nghttp2_session_get_stream_user_data(session, id))
        return slot == 0 ? nil : HTTP2Stream(id: id, slot: slot - 1)
    }

    @unsafe private static func beginHeaders(
        _ session: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ user: UnsafeMutableRawPointer?
    ) -> Int32 {
        guard let context = unsafe Self.context(user), let frame = unsafe frame else { return Self.failure }
        unsafe context.pointee.beginHeaders()
        guard unsafe context.pointee.isServer, unsafe frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST else {
            return 0
        }
        let slot = unsafe context.pointee.takeSlot()
        let id = unsafe frame.pointee.hd.stream_id
        unsafe context.pointee.setStream(id, of: slot)
        return unsafe nghttp2_session_set_stream_user_data(
            session, id, UnsafeMutableRawPointer(bitPattern: slot + 1))
    }

    @unsafe private static func frame(
        _ session: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ user: UnsafeMutableRawPointer?
    ) -> Int32 {
        guard let context = unsafe Self.context(user), let frame = unsafe frame?.pointee else { return Self.failure }
        let header = unsafe frame.hd
        let endStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        let isAck = header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            guard let stream = unsafe Self.stream(session, header.stream_id) else { return 0 }
            unsafe context.pointee.endHeaders(stream, endStream: endStream)
        case NGHTTP2_DATA.rawValue:
            guard endStream, let stream = unsafe Self.stream(session, header.stream_id) else { return 0 }
            unsafe context.pointee.report(.endStream(stream))
        case NGHTTP2_SETTINGS.rawValue where !isAck:
            unsafe context.pointee.report(.settings)
        case NGHTTP2_PING.rawValue where isAck:
            let data = unsafe frame.ping.opaque_data
            let value = unsafe withUnsafeBytes(of: data) { unsafe $0.loadUnaligned(as: UInt64.self) }
            unsafe context.pointee.report(.pong(UInt64(bigEndian: value)))
        case NGHTTP2_GOAWAY.rawValue:
            let goAway = unsafe frame.goaway
            let debug = unsafe UnsafeRawBufferPointer(start: goAway.opaque_data, count: goAway.opaque_data_len)
            unsafe context.pointee.report(
                .goAway(
                    lastStreamID: unsafe goAway.last_stream_id,
                    HTTP2ErrorCode(rawValue: unsafe goAway.error_code),
                    debug: unsafe String(decoding: debug.prefix(256), as: UTF8.self)))
        default:
            break
        }
        return 0
    }
}

extension HeaderList {
    /// Calls `body` with the fields in nghttp2's form; the pointers hold until it returns.
    @unsafe func withFields<Result>(
        followedBy more: HeaderList? = nil, _ body: (UnsafeMutableBufferPointer<nghttp2_nv>) -> Result
    ) -> Result {
        let count = self.fields.count + (more?.fields.count ?? 0)
        return unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: max(count, 1)) { all in
            unsafe self.fill(all, from: 0) {
                guard let more else { return unsafe body(UnsafeMutableBufferPointer(rebasing: all[..<count])) }
                return unsafe more.fill(all, from: self.fields.count) {
                    unsafe body(UnsafeMutableBufferPointer(rebasing: all[..<count]))
                }
            }
        }
    }

    @unsafe private func fill<Result>(
        _ target: UnsafeMutableBufferPointer<nghttp2_nv>, from start: Int, _ body: () -> Result
    ) -> Result {
        unsafe self.bytes.withUnsafeBufferPointer { bytes in
            var offset = 0
            // nghttp2 declares the pointers mutable but copies the bytes and never writes to them.
            let base = unsafe UnsafeMutablePointer(mutating: bytes.baseAddress)
            for (index, field) in self.fields.enumerated() {
                let name = unsafe base.map { unsafe $0 + offset }
                let value = unsafe base.map { unsafe $0 + offset + field.nameLength }
                let flags = field.indexed ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX
                unsafe target.initializeElement(
                    at: start + index,
                    to: nghttp2_nv(
                        name: name, value: value, namelen: field.nameLength, valuelen: field.valueLength,
                        flags: UInt8(flags.rawValue)))
                offset += field.nameLength + field.valueLength
            }
            return body()
        }
    }
}
