// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import Synchronization
import TiKVProto
import TiKVTransport

@testable import TiKVPD

/// A channel on which streams are opened whose messages a test makes up; other calls go on to another channel.
final class ScriptedStreams: RPCChannel {
    /// What a stream says, once a request has come on it.
    struct Script: Sendable {
        /// The answers; then it ends, or stays open until it is cancelled.
        var answers: [any Message]
        var ends = true
    }

    private struct State {
        var streams = 0
        var requests: [any Message] = []
    }

    private final class Stream<Request: Message, Response: Message>: MessageStream {
        let owner: ScriptedStreams
        let answers: Mutex<[any Message]>
        let ends: Bool
        let asked = Signal()
        let silence = Signal()

        init(_ owner: ScriptedStreams, _ script: Script) {
            self.owner = owner
            self.answers = Mutex(script.answers)
            self.ends = script.ends
        }

        func send(_ request: Request) async throws(RPCError) {
            self.owner.state.withLock { $0.requests.append(request) }
        }

        func finish() {}

        func next() async throws(RPCError) -> Response? {
            if let answer = self.answers.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) {
                return answer as? Response
            }
            if self.ends { return nil }
            self.asked.raise()
            _ = await self.silence.wait()
            throw RPCError(.cancelled, "", delivery: .unknown)
        }
    }

    private let base: any RPCChannel
    private let state = Mutex(State())
    private let script: @Sendable (_ call: String, _ stream: Int) throws(RPCError) -> Script

    /// - Parameter script: makes a stream, of which the first is 1, or refuses it.
    init(
        base: any RPCChannel,
        script: @escaping @Sendable (_ call: String, _ stream: Int) throws(RPCError) -> Script
    ) {
        self.base = base
        self.script = script
    }

    /// The requests on all streams so far.
    var requests: [any Message] { self.state.withLock { $0.requests } }

    func unary<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, _ request: Request, options: CallOptions
    ) async throws(RPCError) -> Response {
        try await self.base.unary(method, request, options: options)
    }

    func withMessages<Request: Message, Response: Message, Result>(
        _ method: RPCMethod<Request, Response>, options: CallOptions,
        _ body: (any MessageStream<Request, Response>) async throws -> Result
    ) async throws -> Result {
        let number = self.state.withLock { state in
            state.streams += 1
            return state.streams
        }
        let script = try self.script(method.name, number)
        return try await body(Stream<Request, Response>(self, script))
    }

    func shutdown(gracefully: Duration?) async {
        await self.base.shutdown(gracefully: gracefully)
    }
}
