// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded
import TiKVPD
import TiKVProto

@testable import TiKV

/// What goes with the requests of a snapshot, and how many of them there are.
@Suite(.timeLimit(.minutes(1)))
struct SnapshotRequestTests {
    private func context(
        _ options: SnapshotOptions, passing locks: PassedLocks = .init(), hasMetLock: Bool = false
    ) -> (Kvrpcpb_Context, ReplicaOptions) {
        let request = options.request(keyCount: 1, passing: locks, hasMetLock: hasMetLock)
        var context = Kvrpcpb_Context()
        request.apply(to: &context)
        return (context, request.replica)
    }

    @Test
    func nothingIsSaidThatIsNotAskedFor() {
        let (context, replica) = self.context(.init())
        #expect(context == Kvrpcpb_Context())
        #expect(replica.isPlain && replica.isRead)
    }

    @Test
    func optionsGoWithEveryRequest() {
        var options = SnapshotOptions(
            priority: .high, isolation: .readCommitted, busyThreshold: .milliseconds(7), bypassesStoreCache: true,
            maximumExecutionTime: .milliseconds(9), taskID: 11, resourceGroup: "group", resourceGroupTag: [1, 2])
        var locks = PassedLocks()
        locks.add(ignored: [5, 3], readable: [4])
        let (context, replica) = self.context(options, passing: locks)
        #expect(context.priority == .high)
        #expect(context.isolationLevel == .rc)
        #expect(context.notFillCache)
        #expect(context.maxExecutionDurationMs == 9)
        #expect(context.taskID == 11)
        #expect(context.resourceControlContext.resourceGroupName == "group")
        #expect([UInt8](context.resourceGroupTag) == [1, 2])
        #expect(context.resolvedLocks == [3, 5])
        #expect(context.committedLocks == [4])
        #expect(replica.busyThreshold == .milliseconds(7))
        options = SnapshotOptions(priority: .low, isolation: .readCommittedChecked)
        #expect(self.context(options).0.isolationLevel == .rccheckTs)
        #expect(self.context(options).0.priority == .low)
    }

    @Test
    func replicasAreChosenAsAskedFor() {
        let zone = ["zone": "z"]
        let follower = self.context(.init(replicaRead: .follower.near(zone), replicaTimeout: .seconds(1))).1
        #expect(follower.mode == .follower && follower.labels == zone && follower.readTimeout == .seconds(1))
        #expect(self.context(.init(replicaRead: .learner)).1.mode == .learner)
        #expect(self.context(.init(replicaRead: .preferLeader)).1.mode == .preferLeader)
        #expect(self.context(.init(replicaRead: .mixed.on(stores: [7]))).1.stores == [7])
        let stale = SnapshotOptions(replicaRead: .mixed.near(zone), isStaleRead: true)
        #expect(self.context(stale).1.isStaleRead)
        #expect(self.context(stale).1.mode == .mixed)
        // Only the leader can tell what became of a lock.
        let locked = self.context(stale, hasMetLock: true).1
        #expect(!locked.isStaleRead && locked.mode == .leader && locked.isRead)
        let adjusted = SnapshotOptions(
            replicaRead: .follower, adjustReplicaRead: { $0 > 1 ? .mixed : .leader })
        #expect(adjusted.request(keyCount: 1, passing: .init(), hasMetLock: false).replica.mode == .leader)
        #expect(adjusted.request(keyCount: 2, passing: .init(), hasMetLock: false).replica.mode == .mixed)
    }

    // MARK: - Batches

    /// A request has no more keys than it may.
    @Test
    func batchesAreCut() async throws {
        var configuration = ClientConfiguration()
        configuration.transaction.batchGetLimit = 10
        try await LockLab.with(configuration: configuration) { lab in
            let names = (10..<35).map { "k\($0)" }
            try await lab.write(Dictionary(uniqueKeysWithValues: names.map { ($0, $0) }))
            let found = try await lab.snapshot().batchGet(names.map { Key($0) })
            #expect(found == Dictionary(uniqueKeysWithValues: names.map { (Key($0), Value($0)) }))
            #expect(lab.cluster.requestCount("KvBatchGet") == 3)
        }
    }

    /// All regions are asked at the same time.
    @Test
    func regionsAreAskedSideBySide() async throws {
        try await LockLab.with(splits: ["b", "c"]) { lab in
            try await lab.write(["a": "1", "b": "2", "c": "3"])
            let gate = EmbeddedCluster.Gate()
            lab.cluster.inject(.hold(gate), into: .init(rpc: "KvBatchGet"), times: nil)
            let snapshot = try await lab.snapshot()
            async let found = snapshot.batchGet(["a", "b", "c"])
            try await gate.waitForArrivals(3)
            gate.open()
            #expect(try await found == ["a": "1", "b": "2", "c": "3"])
        }
    }

    @Test
    func answersOfABatchAreSortedOut() {
        var locked = Kvrpcpb_KeyError()
        locked.locked.key = .init("b".utf8)
        var pair = Kvrpcpb_KvPair()
        pair.error = locked
        var value = Kvrpcpb_KvPair()
        value.key = .init("a".utf8)
        value.value = .init("1".utf8)
        value.commitTs = 9
        var response = Kvrpcpb_BatchGetResponse()
        response.pairs = [value, pair]
        let keys = ["a", "b", "c"].map { Array($0.utf8) }
        var answers = BatchGetAnswers()
        answers.received(response, for: keys)
        #expect(answers.found.map(\.key) == [keys[0], keys[2]])
        #expect(answers.found.map(\.value) == [.init(value: Array("1".utf8), commit: 9), nil])
        #expect(answers.locked == [keys[1]])
        #expect(answers.errors == [locked])
        // An error for all of it, and one about a key that was not asked for, leave nothing as known.
        response.error = locked
        var whole = BatchGetAnswers()
        whole.received(response, for: keys)
        #expect(whole.found.isEmpty && whole.locked == keys && whole.errors.count == 1)
        response.clearError()
        var strange = BatchGetAnswers()
        strange.received(response, for: [keys[0], keys[2]])
        #expect(strange.found.isEmpty && strange.locked.count == 2)
    }

    // MARK: - Safe points

    @Test
    func youngMomentsAreVisibleAndOldOnesAreAskedAbout() {
        let start = ContinuousClock.now
        let hour: UInt64 = 3_600_000
        let latest = hour << 18
        var cache = SafePointCache()
        #expect(cache.verdict(on: latest, latest: latest, now: start) == .visible)
        #expect(cache.verdict(on: (hour - 29_999) << 18, latest: latest, now: start) == .visible)
        #expect(cache.verdict(on: (hour - 30_000) << 18, latest: latest, now: start) == .unknown)
        #expect(cache.verdict(on: latest, latest: nil, now: start) == .unknown)
        cache.received(1_000 << 18, at: start)
        #expect(cache.verdict(on: 1_000 << 18, latest: latest, now: start) == .visible)
        #expect(
            cache.verdict(on: (1_000 << 18) - 1, latest: latest, now: start) == .collected(safePoint: 1_000 << 18))
        let later = start.advanced(by: .seconds(91))
        #expect(cache.verdict(on: 1_000 << 18, latest: latest, now: later) == .outdated)
        // It never goes back.
        #expect(cache.verdict(on: 1, latest: latest, now: later) == .collected(safePoint: 1_000 << 18))
        cache.received(500 << 18, at: later)
        #expect(
            cache.verdict(on: 999 << 18, latest: latest, now: later) == .collected(safePoint: 1_000 << 18))
    }
}
