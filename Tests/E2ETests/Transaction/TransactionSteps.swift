// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVEmbedded
import TiKVPD

@testable import TiKV

/// Takes transactions apart into steps, and waits for what goes on after them.
extension TransactionSpace {
    var deadline: Deadline { self.client.context.deadline(.seconds(30)) }

    /// Another transaction commits.
    @discardableResult
    func commit(_ name: String, _ value: Value) async throws -> TiKV.Timestamp { try await self.write([name: value]) }

    func begin(_ pairs: [(String, Value)]) async throws -> Transaction { try await self.begin(.optimistic, pairs) }

    func begin(_ options: TransactionOptions, _ pairs: [(String, Value)]) async throws -> Transaction {
        let transaction = try await self.client.begin(options)
        for (name, value) in pairs { try await transaction.put(self.key(name), value: value) }
        return transaction
    }

    /// What commits a transaction, to be driven by the test.
    func committer(_ transaction: Transaction) async throws -> Committer {
        await transaction.committer(try await transaction.plan())
    }

    /// Locks all keys of a transaction and goes no further.
    @discardableResult
    func prewrite(_ transaction: Transaction) async throws -> Committer {
        let committer = try await self.committer(transaction)
        try await committer.prewrite(deadline: self.deadline)
        return committer
    }

    func commitPrimary(_ committer: Committer, at timestamp: UInt64? = nil) async throws -> UInt64 {
        var state = CommitState(start: committer.start)
        state.prewritten()
        let now = try await self.client.currentTimestamp().rawValue
        return try await committer.commitPrimary(at: timestamp ?? now, &state, deadline: self.deadline)
    }

    func latest(_ name: String) async throws -> Value? {
        try await self.client.snapshot(at: try await self.client.currentTimestamp()).get(self.key(name))
    }

    /// Whether anybody holds a key's lock.
    func isLocked(_ name: String) async throws -> Bool {
        let probe = try await self.client.begin(.init(kind: .pessimistic, lockWaitTimeout: .zero))
        let error = await failure { try await probe.lock([self.key(name)]) }
        await probe.rollback()
        if let error, error.code != .keyIsLocked { throw error }
        return error != nil
    }

    /// Those of the keys that anybody holds.
    func locked(_ names: String...) async throws -> [String] {
        var locked: [String] = []
        for name in names where try await self.isLocked(name) { locked.append(name) }
        return locked
    }
}

/// Counts what goes on in the background, and waits for its end.
final class BackgroundEvents: Sendable {
    let begun = Shared(0)
    private let ended: AsyncStream<Void>
    let hooks: ClientConfiguration.BackgroundHooks

    init() {
        let (stream, input) = AsyncStream<Void>.makeStream()
        let begun = self.begun
        self.ended = stream
        self.hooks = .init(willBegin: { begun.withLock { $0 += 1 } }, didEnd: { input.yield() })
    }

    var beginCount: Int { self.begun.withLock { $0 } }

    /// Returns when one more has ended.
    func waitForEnd() async {
        for await _ in self.ended { return }
    }
}

extension ClientConfiguration {
    static func transactions(_ change: (inout Transaction) -> Void) -> ClientConfiguration {
        var configuration = ClientConfiguration()
        change(&configuration.transaction)
        return configuration
    }
}

extension EmbeddedCluster {
    /// The region of a transactional key.
    func region(of key: Key) -> RegionInfo? { self.region(containing: TransactionSpace.encoded(key.bytes)) }

    func lock(of key: Key) -> KeyState.Lock? { self.transactionalState(of: key.bytes).locks.first }

    /// A gate through which requests go without waiting, to know when they come.
    func watch(_ rpc: String, regionID: UInt64? = nil) -> Gate {
        let gate = Gate()
        gate.open()
        self.inject(.hold(gate), into: .init(rpc: rpc, regionID: regionID), times: nil)
        return gate
    }
}
