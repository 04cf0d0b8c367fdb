// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// The life of one call's response, as the client sees it: headers, messages, status. A pure machine: events of the
/// stream go in, and what to tell the caller comes out. After its end it is silent.
struct ResponseMachine: Sendable {
    /// How the response ended.
    enum End: Sendable {
        case ok
        case failed(RPCError)
    }

    private enum State: Sendable {
        case awaitingHeaders
        case receiving(MessageDeframer)
        case ended
    }

    private var state = State.awaitingHeaders
    private let limit: Int

    init(messageLimit: Int) {
        self.limit = messageLimit
    }

    var isEnded: Bool {
        if case .ended = self.state { true } else { false }
    }

    mutating func headers(_ block: HeaderBlock, endStream: Bool) -> End? {
        switch self.state {
        case .awaitingHeaders:
            if endStream { return self.end(Self.status(of: block)) }
            if let status = block[":status"], status.hasPrefix("1") { return nil }
            if let failure = Self.refusal(block) { return self.end(.failed(failure)) }
            let encoding = MessageEncoding(block["grpc-encoding"])
            self.state = .receiving(MessageDeframer(limit: self.limit, encoding: encoding))
            return nil
        case .receiving(let deframer):
            guard endStream else { return nil }
            if deframer.isMidMessage, case .ok = Self.status(of: block) {
                return self.end(.failed(RPCError(.internalError, "the response ended in the middle of a message")))
            }
            return self.end(Self.status(of: block))
        case .ended:
            return nil
        }
    }

    /// Part of the body. For the parameters, see ``MessageDeframer``.
    mutating func data(
        _ piece: ByteBuffer, answers: Int = 0, _ deliver: ([UInt8]) -> Void,
        sifted: (BatchEnvelope, [BatchSieve.Oversize]) -> Void = { _, _ in }
    ) -> End? {
        switch self.state {
        case .awaitingHeaders:
            return self.end(.failed(RPCError(.internalError, "data came before the response's headers")))
        case .receiving(var deframer):
            // So that the deframer's buffers are not copied when it appends to them.
            self.state = .ended
            do {
                try deframer.receive(piece, answers: answers, deliver, sifted: sifted)
            } catch {
                return self.end(.failed(error))
            }
            self.state = .receiving(deframer)
            return nil
        case .ended:
            return nil
        }
    }

    /// The stream ended without trailers.
    mutating func endStream() -> End? {
        guard !self.isEnded else { return nil }
        return self.end(.failed(RPCError(.internalError, "the response ended without a status")))
    }

    /// The stream was closed. After a regular end there is nothing left to say.
    mutating func closed(_ code: HTTP2ErrorCode, complaint: String? = nil) -> End? {
        guard !self.isEnded else { return nil }
        let reason = complaint.map { " (\($0))" } ?? ""
        var failure =
            switch code {
            case .noError: RPCError(.internalError, "the stream was closed without a status")
            case .refusedStream:
                RPCError(.unavailable, "the peer refused the stream", delivery: .notSent)
            case .cancel: RPCError(.cancelled, "the peer reset the stream")
            case .enhanceYourCalm: RPCError(.unavailable, "the peer reset the stream: \(code)")
            case .inadequateSecurity: RPCError(.permissionDenied, "the peer reset the stream: \(code)")
            default: RPCError(.internalError, "the stream was reset: \(code)\(reason)")
            }
        failure.isStreamRefused = code == .refusedStream
        return self.end(.failed(failure))
    }

    /// Ends the response from our side; returns the end that the caller is to be told, nil where it had one already.
    mutating func abandon(_ error: RPCError) -> End? {
        guard !self.isEnded else { return nil }
        return self.end(.failed(error))
    }

    private mutating func end(_ end: End) -> End {
        self.state = .ended
        return end
    }

    // MARK: - Reading headers

    /// The status in trailers, or in headers that are all there is.
    private static func status(of block: HeaderBlock) -> End {
        guard let text = block["grpc-status"] else {
            return .failed(
                Self.refusal(block) ?? RPCError(.unknown, "the response has no grpc-status", delivery: .answered))
        }
        guard text != "0" else { return .ok }
        // Another way to write 0, such as "-0", is none: it may be a failure as well as a success.
        let known = Int(text).flatMap(RPCError.Code.init(rawValue:)) ?? .unknown
        let code = known == .ok ? .unknown : known
        let message = block["grpc-message"].map(StatusMessage.decode) ?? ""
        return .failed(RPCError(code, message, delivery: .answered, metadata: block.metadata))
    }

    /// What is wrong with response headers that are not gRPC's; by gRPC's own table from HTTP status to code.
    private static func refusal(_ block: HeaderBlock) -> RPCError? {
        let status = block[":status"] ?? "none"
        if status == "200" {
            let type = block["content-type"] ?? ""
            if type.hasPrefix("application/grpc") { return nil }
            return RPCError(.unknown, "the peer does not speak gRPC: content-type '\(type)'", delivery: .answered)
        }
        let code: RPCError.Code =
            switch status {
            case "400": .internalError
            case "401": .unauthenticated
            case "403": .permissionDenied
            case "404": .unimplemented
            case "429", "502", "503", "504": .unavailable
            default: .unknown
            }
        return RPCError(code, "HTTP status \(status)", delivery: .answered)
    }
}
