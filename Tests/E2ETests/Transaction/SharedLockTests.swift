// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TiKVEmbedded
import TiKVProto
import TiKVWriteBuffer

@testable import TiKV

/// Locks that several transactions hold together.
@Suite(.timeLimit(.minutes(3)))
struct SharedLockTests {
    private static let shared = LockOptions(mode: .shared)

    /// A transaction with a key of its own, which becomes its primary, and a share of the lock of `k`.
    private func sharing(_ space: TransactionSpace, _ primary: String) async throws -> Transaction {
        let transaction = try await space.client.begin(.pessimistic)
        try await transaction.lock([space.key(primary)])
        _ = try await transaction.lock([space.key("k")], options: Self.shared)
        return transaction
    }

    /// The locks of a key as a store tells them, each share by itself.
    private func scan(_ space: TransactionSpace, _ name: String, upTo version: UInt64 = .max) async throws -> [Lock] {
        let key = space.key(name).bytes
        var request = Kvrpcpb_ScanLockRequest()
        request.maxVersion = version
        request.startKey = Data(key)
        request.endKey = Data(key + [0])
        request.limit = 100
        let response = try await space.client.context.sender.send(
            TikvpbTikvRPC.kvScanLock, request, key: key, timeout: .seconds(20), isWrite: false)
        return response.locks.flatMap { Lock.all($0) }
    }

    private func end(_ transaction: Transaction, commits: Bool) async throws {
        if commits { try await transaction.commit() } else { await transaction.rollback() }
    }

    /// Returns when so many requests wait for a key.
    private func waiting(_ count: Int, _ space: TransactionSpace, _ cluster: EmbeddedCluster) async throws {
        try await cluster.waitForLockWaiters(count, at: space.key("k").bytes)
    }

    private func wakeUp(_ space: TransactionSpace) async throws -> LockOptions {
        // With a timestamp of its own a call tells that it was woken by a conflict.
        LockOptions(waitTimeout: .seconds(20), forUpdateTimestamp: try await space.client.currentTimestamp())
    }

    // MARK: - Waiting

    @Test(.enabled(if: TestCluster.hasControl, "looks at who waits"), arguments: [false, true])
    func anExclusiveLockWaitsForAllShares(commits: Bool) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let first = try await self.sharing(space, "p1")
            let second = try await self.sharing(space, "p2")
            #expect(await second.flags(of: space.key("k"))?.contains(.lockedInShareMode) == true)
            let third = try await space.client.begin(.pessimistic)
            let options = try await self.wakeUp(space)
            async let waited = failure { try await third.lock([space.key("k")], options: options) }
            try await self.waiting(1, space, cluster)
            try await self.end(first, commits: commits)
            // The other share is still there.
            while cluster.transactionalState(of: space.key("k").bytes).locks.count > 1 { await Task.yield() }
            #expect(cluster.lockWaiterCount(at: space.key("k").bytes) == 1)
            try await self.end(second, commits: commits)
            let error = await waited
            #expect(error?.code == .writeConflict)
            #expect(error?.transaction?.conflict?.reason == .pessimisticRetry)
            await third.rollback()
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "looks at who waits"), arguments: [false, true])
    func sharesWaitForAnExclusiveLock(commits: Bool) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let first = try await space.client.begin(.pessimistic)
            try await first.lock([space.key("k")])
            var others: [Transaction] = []
            for name in ["p2", "p3"] {
                let other = try await space.client.begin(.pessimistic)
                try await other.lock([space.key(name)])
                others.append(other)
            }
            var options = try await self.wakeUp(space)
            options.mode = .shared
            let (second, third, wish) = (others[0], others[1], options)
            async let one = failure { try await second.lock([space.key("k")], options: wish) }
            async let two = failure { try await third.lock([space.key("k")], options: wish) }
            try await self.waiting(2, space, cluster)
            try await self.end(first, commits: commits)
            let errors = await [one, two]
            #expect(errors.map { $0?.code } == [.writeConflict, .writeConflict])
            await second.rollback()
            await third.rollback()
            #expect(try await self.scan(space, "k").isEmpty)
        }
    }

    /// Who waits without a timestamp of its own gets the lock when the shares are gone.
    @Test(.enabled(if: TestCluster.hasControl, "looks at who waits"), arguments: [false, true])
    func theLockIsHadWhenTheSharesAreGone(isFair: Bool) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let first = try await self.sharing(space, "p1")
            let second = try await space.client.begin(.pessimistic)
            if isFair { try await second.startFairLocking() }
            async let locked: Void = second.lock([space.key("k")])
            try await self.waiting(1, space, cluster)
            await first.rollback()
            try await locked
            if isFair { try await second.finishFairLocking() }
            #expect(try await self.scan(space, "k").map(\.start) == [second.startTimestamp.rawValue])
            await second.rollback()
        }
    }

    // MARK: - What stores tell

    @Test
    func aScanTellsEachShareUpToItsTimestamp() async throws {
        try await TransactionSpace.with { space in
            var holders: [Transaction] = []
            for name in ["p1", "p2", "p3"] { holders.append(try await self.sharing(space, name)) }
            let starts = holders.map(\.startTimestamp.rawValue)
            for (limit, expected) in zip([starts[0] - 1] + starts, 0...3) {
                let found = try await self.scan(space, "k", upTo: limit)
                #expect(found.map(\.start).sorted() == Array(starts.prefix(expected)))
                #expect(found.allSatisfy { $0.key == space.key("k").bytes && $0.isPessimistic })
            }
            for holder in holders { await holder.rollback() }
            #expect(try await self.scan(space, "k").isEmpty)
        }
    }

    @Test(arguments: [false, true])
    func eachEndTakesItsOwnShare(commits: Bool) async throws {
        try await TransactionSpace.with { space in
            var holders: [Transaction] = []
            for name in ["p1", "p2", "p3"] { holders.append(try await self.sharing(space, name)) }
            var left = Set(holders.map(\.startTimestamp.rawValue))
            #expect(Set(try await self.scan(space, "k").map(\.start)) == left)
            for holder in holders {
                try await self.end(holder, commits: commits)
                left.remove(holder.startTimestamp.rawValue)
                // Keys beside the primary are committed in the background.
                while try await self.scan(space, "k").count > left.count { await Task.yield() }
                #expect(Set(try await self.scan(space, "k").map(\.start)) == left)
            }
        }
    }

    // MARK: - Others' shares

    /// A share that was left behind by a committed transaction is in nobody's way.
    @Test
    func aShareLeftBehindIsResolved() async throws {
        try await TransactionSpace.with(splits: ["m"]) { space in
            // In another region than `k`.
            let first = try await self.sharing(space, "z")
            _ = try await space.prewrite(first)
            await first.stopKeeper()
            // The primary is committed, and then nothing more happens.
            var request = Kvrpcpb_CommitRequest()
            request.startVersion = first.startTimestamp.rawValue
            request.commitVersion = try await space.client.currentTimestamp().rawValue
            request.keys = [Data(space.key("z").bytes)]
            let response = try await space.client.context.sender.send(
                TikvpbTikvRPC.kvCommit, request, key: space.key("z").bytes, timeout: .seconds(20), isWrite: true)
            #expect(!response.hasError)
            let left = try await self.scan(space, "k")
            #expect(left.map(\.start) == [first.startTimestamp.rawValue])
            #expect(left.first?.primary == space.key("z").bytes)
            #expect(left.first?.isPessimistic == false)
            let second = try await space.client.begin(.pessimistic)
            try await second.lock([space.key("z"), space.key("k")])
            let taken = try await self.scan(space, "k")
            #expect(taken.map(\.start) == [second.startTimestamp.rawValue])
            #expect(taken.first?.isPessimistic == true)
            #expect(taken.first?.primary == space.key("k").bytes)
            await second.rollback()
            #expect(try await self.scan(space, "k").isEmpty)
        }
    }

    /// Of the shares of one lock, those go whose transactions are dead.
    @Test(.enabled(if: TestCluster.hasControl, "moves PD's clock"))
    func onlyDeadSharesAreTakenAway() async throws {
        let configuration = ClientConfiguration.transactions { $0.lockTimeToLive = .seconds(1) }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            var holders: [Transaction] = []
            for name in ["p1", "p2", "p3"] { holders.append(try await self.sharing(space, name)) }
            for holder in holders { await holder.stopKeeper() }
            let locks = try await self.scan(space, "k")
            #expect(locks.count == 3)
            // The third one's primary lives on.
            var beat = Kvrpcpb_TxnHeartBeatRequest()
            beat.primaryLock = Data(space.key("p3").bytes)
            beat.startVersion = holders[2].startTimestamp.rawValue
            beat.adviseLockTtl = 3_600_000
            _ = try await space.client.context.sender.send(
                TikvpbTikvRPC.kvTxnHeartBeat, beat, key: space.key("p3").bytes, timeout: .seconds(20), isWrite: false)
            cluster.advanceClock(by: .seconds(30))
            _ = try await space.client.context.resolver.resolve(locks, for: .write(start: 0), deadline: space.deadline)
            #expect(try await self.scan(space, "k").map(\.start) == [holders[2].startTimestamp.rawValue])
            for holder in holders { await holder.rollback() }
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "moves PD's clock"))
    func aWriterTakesADeadShareAway() async throws {
        let configuration = ClientConfiguration.transactions { $0.lockTimeToLive = .seconds(1) }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let holder = try await self.sharing(space, "p")
            await holder.stopKeeper()
            cluster.advanceClock(by: .seconds(30))
            #expect(try await self.scan(space, "k").count == 1)
            let commit = try await space.commit("k", "1")
            #expect(try await space.client.snapshot(at: commit).get(space.key("k")) == "1")
            #expect(try await self.scan(space, "k").isEmpty)
            await holder.rollback()
        }
    }
}
