// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import Testing
import TiKVEmbedded
import TiKVProto
import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The transactional API of the embedded stores over the network, and the control handle's part of it. What the commands
/// do is tested without sockets, and by clients of others.
@Suite struct EmbeddedTransactionTests {
    /// Requests wait for locks until something happens.
    private static let configuration = EmbeddedCluster.Configuration(storeCount: 3, lockWaitTimeout: .seconds(300))

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func prewrite(
        _ harness: EmbeddedHarness, _ key: String, _ value: String, start: UInt64
    ) async throws -> Kvrpcpb_PrewriteResponse {
        let context = harness.context(try harness.region(""))
        return try await harness.store(context.peer.storeID).unary(
            TikvpbTikvRPC.kvPrewrite,
            .with {
                $0.context = context
                $0.mutations = [
                    .with {
                        $0.op = .put
                        $0.key = Data(key.utf8)
                        $0.value = Data(value.utf8)
                    }
                ]
                $0.primaryLock = Data(key.utf8)
                $0.startVersion = start
                $0.lockTtl = 3000
            })
    }

    private func commit(_ harness: EmbeddedHarness, _ key: String, start: UInt64, at commitTS: UInt64) async throws {
        let context = harness.context(try harness.region(""))
        let response = try await harness.store(context.peer.storeID).unary(
            TikvpbTikvRPC.kvCommit,
            .with {
                $0.context = context
                $0.keys = [Data(key.utf8)]
                $0.startVersion = start
                $0.commitVersion = commitTS
            })
        #expect(!response.hasError)
    }

    private func get(
        _ harness: EmbeddedHarness, _ key: String, at version: UInt64, on storeID: UInt64? = nil,
        change: (inout Kvrpcpb_Context) -> Void = { _ in }
    ) async throws -> Kvrpcpb_GetResponse {
        var context = harness.context(try harness.region(""), on: storeID)
        change(&context)
        let request = Kvrpcpb_GetRequest.with {
            $0.context = context
            $0.key = Data(key.utf8)
            $0.version = version
        }
        return try await harness.store(context.peer.storeID).unary(TikvpbTikvRPC.kvGet, request)
    }

    private func lock(
        _ harness: EmbeddedHarness, _ key: String, start: UInt64, isForced: Bool = false
    ) async throws -> Kvrpcpb_PessimisticLockResponse {
        let context = harness.context(try harness.region(""))
        return try await harness.store(context.peer.storeID).unary(
            TikvpbTikvRPC.kvPessimisticLock,
            .with {
                $0.context = context
                $0.mutations = [
                    .with {
                        $0.op = .pessimisticLock
                        $0.key = Data(key.utf8)
                    }
                ]
                $0.primaryLock = Data(key.utf8)
                $0.startVersion = start
                $0.forUpdateTs = start
                $0.lockTtl = 3000
                $0.wakeUpMode = isForced ? .wakeUpModeForceLock : .wakeUpModeNormal
            })
    }

    /// A prewrite that comes once more when its transaction is committed, and one that does when it was rolled back.
    @Test func repeatedRequestsComeLater() async throws {
        try await EmbeddedHarness.with(Self.configuration) { harness in
            let id = harness.cluster.inject(.repeatLater(afterRequests: 2), into: .init(rpc: "KvPrewrite"))
            #expect(try await self.prewrite(harness, "a", "1", start: 10).errors.isEmpty)
            #expect(harness.cluster.lockedKeys == [self.bytes("a")])
            // Gone without a trace, as no client does it: so what comes now can be seen.
            harness.cluster.removeLock(of: self.bytes("a"))
            _ = try await self.get(harness, "b", at: 20)
            #expect(harness.cluster.lockedKeys.isEmpty)
            _ = try await self.get(harness, "b", at: 20)
            #expect(harness.cluster.lockedKeys == [self.bytes("a")])
            #expect(harness.cluster.count(of: id) == 1)
            // Where the transaction is committed, the same request does nothing.
            try await self.commit(harness, "a", start: 10, at: 30)
            harness.cluster.inject(.repeatLater(afterRequests: 1), into: .init(rpc: "KvPrewrite"))
            #expect(try await self.prewrite(harness, "c", "2", start: 40).errors.isEmpty)
            try await self.commit(harness, "c", start: 40, at: 50)
            _ = try await self.get(harness, "c", at: 60)
            #expect(harness.cluster.lockedKeys.isEmpty)
        }
    }

    @Test func whatIsCommittedIsReadAndSeenByTheHandle() async throws {
        try await EmbeddedHarness.with(Self.configuration) { harness in
            _ = try await self.prewrite(harness, "k", "v", start: 10)
            let locked = harness.cluster.transactionalState(of: self.bytes("k"))
            #expect(locked.locks.map(\.startTS) == [10])
            #expect(locked.locks.first?.value == self.bytes("v"))
            #expect(harness.cluster.lockedKeys == [self.bytes("k")])
            try await self.commit(harness, "k", start: 10, at: 20)
            let response = try await self.get(harness, "k", at: 20)
            #expect(response.value == Data("v".utf8))
            let state = harness.cluster.transactionalState(of: self.bytes("k"))
            #expect(state.locks.isEmpty)
            let version = try #require(state.versions.first)
            #expect((version.kind, version.commitTS, version.startTS) == (.put, 20, 10))
            #expect(version.value == self.bytes("v"))
            #expect(state.versions.count == 1)
        }
    }

    @Test func locksThatTheHandlePutsAreInTheWay() async throws {
        try await EmbeddedHarness.with(Self.configuration) { harness in
            let lock = EmbeddedCluster.KeyState.Lock(startTS: 5, primary: self.bytes("p"), ttl: 7, txnSize: 3)
            harness.cluster.putLock(lock, on: self.bytes("k"))
            let found = try await self.get(harness, "k", at: 10).error.locked
            #expect((found.lockVersion, found.lockTtl, found.txnSize) == (5, 7, 3))
            harness.cluster.removeLock(of: self.bytes("k"))
            let free = try await self.get(harness, "k", at: 10)
            #expect(free.notFound)
        }
    }

    @Test func keyErrorsCanBeInjected() async throws {
        try await EmbeddedHarness.with(Self.configuration) { harness in
            let lock = EmbeddedCluster.KeyState.Lock(startTS: 5, primary: self.bytes("k"))
            harness.cluster.inject(
                .keyError(.locked(lock, key: self.bytes("k"))), into: .init(rpc: "KvGet"), times: 1)
            let refused = try await self.get(harness, "k", at: 10)
            #expect(refused.error.locked.lockVersion == 5)
            let served = try await self.get(harness, "k", at: 10)
            #expect(served.notFound)
            // Raw requests have no place for it, and go through.
            harness.cluster.inject(.keyError(.abort("no")), into: .init(rpc: "RawGet"), times: 1)
            let raw = try await harness.get("k", harness.context(try harness.region("k")))
            #expect(raw.notFound && raw.error.isEmpty)
        }
    }

    @Test func followersReadAndStaleReadsHaveTheirLimit() async throws {
        try await EmbeddedHarness.with(Self.configuration) { harness in
            _ = try await self.prewrite(harness, "k", "v", start: 10)
            try await self.commit(harness, "k", start: 10, at: 20)
            let region = try harness.region("")
            let follower = try #require(region.peers.keys.first { $0 != region.leaderStoreID })
            let refused = try await self.get(harness, "k", at: 20, on: follower)
            #expect(refused.regionError.hasNotLeader)
            let read = try await self.get(harness, "k", at: 20, on: follower) { $0.replicaRead = true }
            #expect(read.value == Data("v".utf8))
            let stale = try await self.get(harness, "k", at: 20, on: follower) { $0.staleRead = true }
            #expect(stale.value == Data("v".utf8))
            harness.cluster.holdSafeTS(at: 15, onStore: follower)
            let early = try await self.get(harness, "k", at: 20, on: follower) { $0.staleRead = true }
            #expect(early.regionError.dataIsNotReady.safeTs == 15)
            harness.cluster.holdSafeTS(at: nil, onStore: follower)
            // A lock holds it back too: what is below may still be committed.
            harness.cluster.putLock(.init(startTS: 30, primary: self.bytes("x")), on: self.bytes("x"))
            let blocked = try await self.get(harness, "k", at: 30, on: follower) { $0.staleRead = true }
            #expect(blocked.regionError.dataIsNotReady.safeTs == 29)
        }
    }

    @Test func aWaitingRequestGoesOnAndOthersAreServedMeanwhile() async throws {
        try await EmbeddedHarness.with(Self.configuration) { harness in
            let first = try await self.lock(harness, "k", start: 10)
            #expect(first.errors.isEmpty)
            async let waiting = self.lock(harness, "k", start: 20, isForced: true)
            try await harness.cluster.waitForLockWaiters(at: self.bytes("k"))
            let other = try await self.get(harness, "other", at: 10)
            #expect(other.notFound)
            let context = harness.context(try harness.region(""))
            let rollback = try await harness.store(context.peer.storeID).unary(
                TikvpbTikvRPC.kvPessimisticRollback,
                .with {
                    $0.context = context
                    $0.startVersion = 10
                    $0.forUpdateTs = 10
                    $0.keys = [Data("k".utf8)]
                })
            #expect(rollback.errors.isEmpty)
            let result = try await waiting
            #expect(result.results.map(\.type) == [.lockResultNormal])
            #expect(harness.cluster.transactionalState(of: self.bytes("k")).locks.map(\.startTS) == [20])
        }
    }

    @Test func aWaitEndsInTime() async throws {
        try await EmbeddedHarness.with(.init(lockWaitTimeout: .milliseconds(50))) { harness in
            _ = try await self.lock(harness, "k", start: 10)
            // Nothing else happens: only the time ends it.
            let response = try await self.lock(harness, "k", start: 20)
            #expect(response.errors.first?.locked.lockVersion == 10)
            #expect(harness.cluster.lockWaiterCount(at: self.bytes("k")) == 0)
        }
    }

    @Test func aClientThatGoesAwayWaitsNoLonger() async throws {
        try await EmbeddedHarness.with(Self.configuration) { harness in
            _ = try await self.lock(harness, "k", start: 10)
            await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { _ = try await self.lock(harness, "k", start: 20, isForced: true) }
                group.addTask { try await harness.cluster.waitForLockWaiters(at: self.bytes("k")) }
                // The first to end is the one that sees the other wait.
                _ = await group.nextResult()
                group.cancelAll()
            }
            while harness.cluster.lockWaiterCount(at: self.bytes("k")) > 0 { await Task.yield() }
            #expect(harness.cluster.transactionalState(of: self.bytes("k")).locks.map(\.startTS) == [10])
        }
    }

    @Test func oldVersionsAreCollected() async throws {
        try await EmbeddedHarness.with(Self.configuration) { harness in
            for start: UInt64 in [10, 30] {
                _ = try await self.prewrite(harness, "k", "v\(start)", start: start)
                try await self.commit(harness, "k", start: start, at: start + 10)
            }
            harness.cluster.collectGarbage(safePoint: 50)
            let state = harness.cluster.transactionalState(of: self.bytes("k"))
            #expect(state.versions.map(\.commitTS) == [40])
        }
    }
}
