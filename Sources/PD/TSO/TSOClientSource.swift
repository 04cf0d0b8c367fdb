// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
import TiKVTransport

/// Gives the batcher the client's way to a stream, without keeping the client alive.
final class TSOClientSource: TSOSource {
    private struct Reference {
        weak var client: PDClient?
    }

    private let reference = Mutex(Reference())

    func attach(_ client: PDClient) {
        self.reference.withLock { $0.client = client }
    }

    func withTSOStream(_ body: (any TSOStream) async throws(RPCError) -> Void) async throws(TSOFailure) {
        try await self.withTSOStream(number: 0, body)
    }

    func withTSOStream(
        number: Int, _ body: (any TSOStream) async throws(RPCError) -> Void
    ) async throws(TSOFailure) {
        guard let client = self.reference.withLock({ $0.client }) else {
            throw TSOFailure(error: PDError(.closed, "the client is closed"))
        }
        try await client.withTSOStream(number: number, body)
    }
}
