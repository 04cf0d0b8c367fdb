// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import SwiftProtobuf
internal import Synchronization
import TiKVProto
import TiKVTransport

/// A stream on which timestamps are asked for: PD's own, or that of a timestamp service apart from PD.
protocol TSOStream: Sendable {
    func send(count: UInt32) async throws(RPCError)

    /// The next answer; nil when the server has ended the stream.
    func next() async throws(RPCError) -> TSOAnswer?
}

/// Such a stream in the messages of whoever serves it.
struct MessageTSOStream<Request: TSORequest, Response: TSOResponse>: TSOStream {
    let stream: any MessageStream<Request, Response>
    let header: Request.Header

    func send(count: UInt32) async throws(RPCError) {
        var request = Request()
        request.header = self.header
        request.count = count
        try await self.stream.send(request)
    }

    func next() async throws(RPCError) -> TSOAnswer? {
        guard let response = try await self.stream.next() else { return nil }
        if let message = response.refusal { throw RPCError(.unknown, message, delivery: .answered) }
        return TSOAnswer(
            physical: response.timestamp.physical, logical: response.timestamp.logical, count: response.count,
            suffixBits: response.timestamp.suffixBits)
    }
}

/// Asks for so many timestamps.
protocol TSORequest: Message {
    associatedtype Header: Sendable

    var header: Header { get set }
    var count: UInt32 { get set }
}

/// So many timestamps, or why there are none.
protocol TSOResponse: Message {
    var count: UInt32 { get }
    /// The last of them.
    var timestamp: Pdpb_Timestamp { get }
    /// Why there are none; nil where there are.
    var refusal: String? { get }
}

extension Pdpb_TsoRequest: TSORequest {}
extension Tsopb_TsoRequest: TSORequest {}

extension Pdpb_TsoResponse: TSOResponse {
    var refusal: String? {
        self.header.hasError && self.header.error.type != .ok ? self.header.error.message : nil
    }
}

extension Tsopb_TsoResponse: TSOResponse {
    var refusal: String? {
        self.header.hasError && self.header.error.type != .ok ? self.header.error.message : nil
    }
}

/// Where timestamps come from: finds who hands them out, and opens a stream there.
protocol TSOSource: Sendable {
    /// Runs `body` with a stream; returns, or throws what ended it, when `body` has.
    func withTSOStream(_ body: (any TSOStream) async throws(RPCError) -> Void) async throws(TSOFailure)

    /// The same where there are several streams.
    ///
    /// - Parameter number: which of them, of which the first is 0.
    func withTSOStream(
        number: Int, _ body: (any TSOStream) async throws(RPCError) -> Void
    ) async throws(TSOFailure)
}

extension TSOSource {
    func withTSOStream(
        number: Int, _ body: (any TSOStream) async throws(RPCError) -> Void
    ) async throws(TSOFailure) {
        try await self.withTSOStream(body)
    }
}

/// The highest timestamp that any of several streams has brought.
final class TSOFloor: Sendable {
    private let value = Atomic<UInt64>(0)

    var last: Timestamp { Timestamp(rawValue: self.value.load(ordering: .acquiring)) }

    func received(_ timestamp: Timestamp) {
        self.value.max(timestamp.rawValue, ordering: .acquiringAndReleasing)
    }
}

/// Why there is no stream, or no longer.
struct TSOFailure: Error {
    var attempts = PDAttempts()
    /// Set where trying again is of no use to those who wait.
    var error: PDError?
}
