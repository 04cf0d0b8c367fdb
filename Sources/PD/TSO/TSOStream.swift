// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto
import TiKVTransport

/// A stream on which timestamps are asked for: PD's own, or that of a timestamp service apart from PD.
protocol TSOStream: Sendable {
    func send(count: UInt32) async throws(RPCError)

    /// The next answer; nil when the server has ended the stream.
    func next() async throws(RPCError) -> TSOAnswer?
}

/// PD's own.
struct PDTSOStream: TSOStream {
    let stream: any MessageStream<Pdpb_TsoRequest, Pdpb_TsoResponse>
    let header: Pdpb_RequestHeader

    func send(count: UInt32) async throws(RPCError) {
        var request = Pdpb_TsoRequest()
        request.header = self.header
        request.count = count
        try await self.stream.send(request)
    }

    func next() async throws(RPCError) -> TSOAnswer? {
        guard let response = try await self.stream.next() else { return nil }
        if response.header.hasError, response.header.error.type != .ok {
            throw RPCError(.unknown, response.header.error.message, delivery: .answered)
        }
        return TSOAnswer(
            physical: response.timestamp.physical, logical: response.timestamp.logical, count: response.count,
            suffixBits: response.timestamp.suffixBits)
    }
}

/// That of a server which does nothing but timestamps.
struct ServiceTSOStream: TSOStream {
    let stream: any MessageStream<Tsopb_TsoRequest, Tsopb_TsoResponse>
    let header: Tsopb_RequestHeader

    func send(count: UInt32) async throws(RPCError) {
        var request = Tsopb_TsoRequest()
        request.header = self.header
        request.count = count
        try await self.stream.send(request)
    }

    func next() async throws(RPCError) -> TSOAnswer? {
        guard let response = try await self.stream.next() else { return nil }
        if response.header.hasError, response.header.error.type != .ok {
            throw RPCError(.unknown, response.header.error.message, delivery: .answered)
        }
        return TSOAnswer(
            physical: response.timestamp.physical, logical: response.timestamp.logical, count: response.count,
            suffixBits: response.timestamp.suffixBits)
    }
}

/// Where timestamps come from: finds who hands them out, and opens a stream there.
protocol TSOSource: Sendable {
    /// Runs `body` with a stream; returns, or throws what ended it, when `body` has.
    func withTSOStream(_ body: (any TSOStream) async throws(RPCError) -> Void) async throws(TSOFailure)
}

/// Why there is no stream, or no longer.
struct TSOFailure: Error {
    var attempts = PDAttempts()
    /// Set where trying again is of no use to those who wait.
    var error: PDError?
}
