// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV
import TiKVEmbedded

/// A protocol that a commit can be asked for beside that of two phases.
enum FastCommit: String, Sendable, CaseIterable {
    case async
    case onePhase

    var kind: CommitDetails.Kind {
        switch self {
        case .async: .async
        case .onePhase: .onePhase
        }
    }

    func options(
        _ kind: TransactionOptions.Kind = .optimistic, _ change: (inout TransactionOptions) -> Void = { _ in }
    ) -> TransactionOptions {
        var options = TransactionOptions(kind: kind, asyncCommit: self == .async, onePhaseCommit: self == .onePhase)
        change(&options)
        return options
    }
}

extension TransactionSpace {
    /// A key's value at a moment, as stores have it.
    func value(_ name: String, at timestamp: Timestamp) async throws -> Value? {
        try await self.client.snapshot(at: timestamp, options: .init(isCached: false)).get(self.key(name))
    }

    /// Runs `body` with another client of the same cluster.
    func withOther(
        _ cluster: EmbeddedCluster, _ body: (TransactionSpace) async throws -> Void
    ) async throws {
        try await TransactionClient.withClient(pd: cluster.pdEndpoints) { client in
            try await body(TransactionSpace(client: client, prefix: self.prefix))
        }
    }
}

extension Timestamp {
    /// The moment before.
    var previous: Timestamp { Timestamp(rawValue: self.rawValue - 1) }
}

extension EmbeddedCluster {
    /// Returns when this is so.
    func wait(until condition: (EmbeddedCluster) -> Bool) async throws {
        while !condition(self) {
            try Task.checkCancellation()
            await Task.yield()
        }
    }

    /// When each version of a key was committed, the newest first.
    func commits(of key: Key) -> [UInt64] {
        self.transactionalState(of: key.bytes).versions.filter { $0.kind != .rollback }.map(\.commitTS)
    }
}
