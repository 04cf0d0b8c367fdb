// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import Synchronization
import TiKVPD
import TiKVProto
import TiKVTransport

/// A peer whose answers a test makes up.
final class ScriptedChannel: RPCChannel {
    typealias Handler = @Sendable (_ call: String, _ request: any Message) async throws(RPCError) -> any Message
    typealias FullHandler =
        @Sendable (_ call: String, _ request: any Message, _ options: CallOptions) async throws(RPCError) -> any Message

    private let handler: FullHandler
    private let log = Mutex<(calls: [String], metadata: [Metadata], isShutDown: Bool)>(([], [], false))

    init(_ handler: @escaping Handler) {
        self.handler = { call, request, _ throws(RPCError) in try await handler(call, request) }
    }

    init(_ handler: @escaping FullHandler) {
        self.handler = handler
    }

    /// The names of the calls so far.
    var calls: [String] { self.log.withLock { $0.calls } }

    /// What came beside each call.
    var metadata: [Metadata] { self.log.withLock { $0.metadata } }

    var isShutDown: Bool { self.log.withLock { $0.isShutDown } }

    func unary<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, _ request: Request, options: CallOptions
    ) async throws(RPCError) -> Response {
        self.log.withLock {
            $0.calls.append(method.name)
            $0.metadata.append(options.metadata)
        }
        if self.isShutDown { throw RPCError(.unavailable, "closed here", delivery: .notSent) }
        guard let response = try await self.handler(method.name, request, options) as? Response else {
            throw RPCError(.unimplemented, "the script has no such answer", delivery: .answered)
        }
        return response
    }

    func shutdown(gracefully: Duration?) async {
        self.log.withLock { $0.isShutDown = true }
    }
}
