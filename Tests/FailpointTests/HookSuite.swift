// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

import TiKV
import TiKVEmbedded
import TiKVFailpoints

/// What the suites of the transaction client's hooks share.
protocol HookSuite: Sendable {}

extension HookSuite {
    static var key: Key { "a" }
    /// In another region than `key`.
    static var other: Key { "z" }

    /// Runs a test with two regions. What runs in the client's background is in the scope, too.
    func with(
        _ actions: [Failpoint: String], requestTimeout: Duration = .seconds(20),
        lockTimeToLive: Duration? = nil,
        _ body: (TransactionClient, EmbeddedCluster, FailpointScope) async throws -> Void
    ) async throws {
        let split = EmbeddedCluster.APIVersion.v1.regionKey(forTransactional: Array("m".utf8))
        try await EmbeddedCluster.withCluster(.init(splitKeys: [split])) { cluster in
            try await FailpointScope.withActive(actions) { scope in
                var configuration = ClientConfiguration(requestTimeout: requestTimeout)
                if let lockTimeToLive { configuration.transaction.lockTimeToLive = lockTimeToLive }
                try await TransactionClient.withClient(
                    pd: cluster.pdEndpoints, configuration: configuration
                ) { client in
                    try await body(client, cluster, scope)
                }
            }
        }
    }

    func writing(
        _ client: TransactionClient, _ options: TransactionOptions = .optimistic
    ) async throws -> Transaction {
        let transaction = try await client.begin(options)
        try await transaction.put(Self.key, value: "1")
        try await transaction.put(Self.other, value: "1")
        return transaction
    }

    func values(_ client: TransactionClient) async throws -> [Key: Value] {
        try await client.snapshot(at: client.currentTimestamp()).batchGet([Self.key, Self.other])
    }

    func failure(_ body: () async throws -> Void) async -> TiKVError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? TiKVError
        }
    }

    /// What goes on in the background is waited for.
    func waitUntilNothingIsLocked(_ cluster: EmbeddedCluster) async {
        while !cluster.lockedKeys.isEmpty { await Task.yield() }
    }

    /// The lock of a key; nil where it is not locked.
    func lock(of key: Key, _ cluster: EmbeddedCluster) -> EmbeddedCluster.KeyState.Lock? {
        cluster.transactionalState(of: key.bytes).locks.first
    }
}

#endif
