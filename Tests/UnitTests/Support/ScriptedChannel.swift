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

    private let handler: Handler
    private let onOptions: @Sendable (CallOptions) -> Void
    private let log = Mutex<(calls: [String], metadata: [Metadata], isShutDown: Bool)>(([], [], false))

    init(onOptions: @escaping @Sendable (CallOptions) -> Void = { _ in }, _ handler: @escaping Handler) {
        self.onOptions = onOptions
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
        self.onOptions(options)
        guard let response = try await self.handler(method.name, request) as? Response else {
            throw RPCError(.unimplemented, "the script has no such answer", delivery: .answered)
        }
        return response
    }

    func shutdown(gracefully: Duration?) async {
        self.log.withLock { $0.isShutDown = true }
    }
}
