// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVTransport

@testable import TiKVPD

/// Streams of timestamps whose answers a test makes up.
final class ScriptedTSO: TSOSource {
    /// Answers one request.
    ///
    /// - Parameters: the stream, of which the first is 1, and how many timestamps are wanted. Nil ends the stream.
    typealias Handler = @Sendable (_ stream: Int, _ count: UInt32) async throws(RPCError) -> TSOAnswer?

    private struct State {
        var streams = 0
        var requests: [UInt32] = []
        var last: Int64 = 0
    }

    private final class Stream: TSOStream {
        let source: ScriptedTSO
        let number: Int
        let waiting = Mutex<[UInt32]>([])
        let arrived = Signal()

        init(_ source: ScriptedTSO, _ number: Int) {
            self.source = source
            self.number = number
        }

        func send(count: UInt32) async throws(RPCError) {
            self.source.state.withLock { $0.requests.append(count) }
            self.waiting.withLock { $0.append(count) }
            self.arrived.raise()
        }

        func next() async throws(RPCError) -> TSOAnswer? {
            while true {
                let count = self.waiting.withLock { $0.isEmpty ? nil : $0.removeFirst() }
                if let count { return try await self.source.handler(self.number, count) }
                if await self.arrived.wait() == nil { throw RPCError(.cancelled, "") }
            }
        }
    }

    private let state = Mutex(State())
    private let handler: Handler

    init(_ handler: @escaping Handler) {
        self.handler = handler
    }

    /// How many streams were opened.
    var streams: Int { self.state.withLock { $0.streams } }

    /// What was asked for, request by request.
    var requests: [UInt32] { self.state.withLock { $0.requests } }

    func withTSOStream(_ body: (any TSOStream) async throws(RPCError) -> Void) async throws(TSOFailure) {
        let number = self.state.withLock { state in
            state.streams += 1
            return state.streams
        }
        do throws(RPCError) {
            try await body(Stream(self, number))
        } catch {
            var failure = TSOFailure()
            failure.attempts.record(PeerAddress(host: "pd", port: 2379), "\(error)")
            throw failure
        }
    }
}

/// A clock of PD that a test sets: each timestamp is one above the last.
final class ScriptedClock: Sendable {
    private let last: Mutex<Timestamp>

    init(_ first: Timestamp) {
        self.last = Mutex(first)
    }

    var current: Timestamp { self.last.withLock { $0 } }

    /// Somebody else took timestamps.
    func advance(to timestamp: Timestamp) {
        self.last.withLock { $0 = max($0, timestamp) }
    }

    func answer(_ count: UInt32) -> TSOAnswer {
        let last = self.last.withLock { last in
            last = Timestamp(rawValue: last.rawValue + UInt64(count))
            return last
        }
        return TSOAnswer(physical: Int64(last.physical), logical: Int64(last.logical), count: count)
    }
}

/// Something that a test lets others pass.
final class ScriptedGate: Sendable {
    private let stream: AsyncStream<Void>
    private let opener: AsyncStream<Void>.Continuation

    init() {
        (self.stream, self.opener) = AsyncStream.makeStream()
    }

    func open() { self.opener.finish() }

    /// Returns when the gate is open or the task cancelled.
    func pass() async {
        for await _ in self.stream {}
    }
}
