// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVProto
import TiKVWriteBuffer

@testable import TiKV

@Suite
struct CommitPlanTests {
    private func plan(
        isPessimistic: Bool = false, primary: String? = nil, _ fill: (inout WriteBuffer) throws -> Void
    ) throws -> CommitPlan {
        var buffer = WriteBuffer()
        try fill(&buffer)
        return try CommitPlan(buffer, isPessimistic: isPessimistic, primary: primary.map { bytes($0) })
    }

    @Test
    func eachKeyGivesItsMutation() throws {
        let plan = try self.plan {
            try $0.put(bytes("a"), value: bytes("1"))
            try $0.delete(bytes("b"))
            try $0.put(bytes("c"), value: bytes("2"), flags: .set(.presumeNotExists))
            try $0.updateFlags(bytes("d"), .set(.locked))
            try $0.updateFlags(bytes("e"), .set(.needLocked))
            try $0.updateFlags(bytes("f"), .set(.assertExist))
            try $0.put(bytes("g"), value: bytes("3"), flags: .assert(exists: true))
            try $0.delete(bytes("h"), flags: .assert(exists: false))
            try $0.put(bytes("i"), value: bytes("4"), flags: .assert(exists: nil))
        }
        #expect(plan.mutations.map(\.kind) == [.put, .delete, .insert, .lock, .lock, .put, .delete, .put])
        #expect(plan.mutations.map(\.key) == ["a", "b", "c", "d", "e", "g", "h", "i"].map { bytes($0) })
        #expect(plan.mutations.map(\.assertion) == [.none, .none, .none, .none, .none, .exist, .notExist, .none])
        #expect(plan.primary == bytes("a"))
        #expect(plan.size == 8 + 4)
        #expect(plan.mutations.map(\.proto.op) == [.put, .del, .insert, .lock, .lock, .put, .del, .put])
    }

    /// A key that was inserted and deleted again has no lock: as a primary it would make the others look dead.
    @Test
    func aDeletedInsertIsAnythingButThePrimary() throws {
        let first = try self.plan {
            try $0.put(bytes("a"), value: bytes("1"), flags: .set(.presumeNotExists))
            try $0.put(bytes("b"), value: bytes("2"))
            try $0.put(bytes("c"), value: bytes("3"))
            try $0.delete(bytes("a"))
        }
        #expect(first.mutations.map(\.kind) == [.checkNotExists, .put, .put])
        #expect(first.primary == bytes("b"))
        #expect(first.locked.map(\.key) == [bytes("b"), bytes("c")])
        let last = try self.plan {
            try $0.put(bytes("a"), value: bytes("1"))
            try $0.put(bytes("b"), value: bytes("2"), flags: .set(.presumeNotExists))
            try $0.delete(bytes("b"))
        }
        #expect(last.primary == bytes("a"))
    }

    @Test
    func aTransactionOfDeletedInsertsHasNoPrimary() throws {
        let plan = try self.plan {
            for name in ["a", "b", "c"] {
                try $0.put(bytes(name), value: bytes("1"), flags: .set(.presumeNotExists))
                try $0.delete(bytes(name))
            }
        }
        #expect(plan.mutations.map(\.kind) == [.checkNotExists, .checkNotExists, .checkNotExists])
        #expect(plan.primary.isEmpty)
        #expect(plan.locked.isEmpty)
        #expect(!plan.isEmpty)
    }

    @Test
    func aLockedKeyIsThePrimaryWhereAnInsertWasDeleted() throws {
        let plan = try self.plan {
            try $0.put(bytes("a"), value: bytes("1"), flags: .set(.presumeNotExists))
            try $0.delete(bytes("a"))
            try $0.updateFlags(bytes("b"), .set(.locked))
            try $0.updateFlags(bytes("c"), .set(.locked))
        }
        #expect(plan.mutations.map(\.kind) == [.checkNotExists, .lock, .lock])
        #expect(plan.primary == bytes("b"))
    }

    @Test
    func pessimisticLocksAreKept() throws {
        let plan = try self.plan(isPessimistic: true, primary: "z") {
            try $0.put(bytes("a"), value: bytes("1"), flags: .set([.locked, .presumeNotExists]))
            try $0.put(bytes("b"), value: bytes("2"), flags: .set(.needConstraintCheckInPrewrite))
            try $0.put(bytes("c"), value: bytes("3"))
            try $0.updateFlags(bytes("z"), .set(.locked))
        }
        #expect(plan.primary == bytes("z"))
        #expect(plan.mutations.map(\.isPessimisticLock) == [true, false, false, true])
        #expect(
            plan.mutations.map(\.pessimisticAction)
                == [.doPessimisticCheck, .doConstraintCheck, .skipPessimisticCheck, .doPessimisticCheck])
    }

    @Test
    func theFlagsOfEveryMutationSurvive() throws {
        let kinds: [Mutation.Kind] = [.put, .delete, .checkNotExists]
        for kind in kinds {
            for (isLocked, assertion) in [
                (false, KeyFlags()), (true, []), (false, .assertExist), (true, .assertExist), (false, .assertNotExist),
                (true, .assertNotExist),
            ] {
                var flags = assertion
                if isLocked { flags.insert(.locked) }
                if kind == .checkNotExists { flags.insert(.prewriteOnly) }
                let entry = BufferEntry(
                    key: bytes("k"), value: kind == .delete ? .delete : .put(bytes("v")), flags: flags)
                let mutation = try #require(Mutation(entry, isPessimistic: true))
                #expect(mutation.kind == kind)
                #expect(mutation.key == bytes("k"))
                #expect(mutation.isPessimisticLock == isLocked)
                #expect(
                    mutation.proto.assertion
                        == (assertion == .assertExist ? .exist : assertion == .assertNotExist ? .notExist : .none))
            }
        }
    }

    @Test
    func batchesEndWhereTheyAreLargeEnough() {
        let mutations = (0..<70).map { Mutation(.put, key($0), value: [UInt8](repeating: 0, count: 1_020)) }
        func pieces(_ mutations: [Mutation]) -> [MutationList] {
            let list = MutationList(mutations)
            return list.pieces(bytes: 16 << 10, size: { list.size(at: $0) })
        }
        let batches = pieces(mutations)
        #expect(batches.map(\.count) == [16, 16, 16, 16, 6])
        #expect(batches.flatMap { $0 } == mutations)
        let large = Mutation(.put, key(1), value: [UInt8](repeating: 0, count: 1 << 20))
        #expect(pieces([large, mutations[0], large]).map(\.count) == [1, 2])
        #expect(pieces([]).isEmpty)
    }

    // MARK: - Times

    @Test
    func largerAndOlderTransactionsLockForLonger() {
        #expect(LockTimeToLive.commit(size: 0, age: .zero) == 3_000)
        #expect(LockTimeToLive.commit(size: (16 << 10) - 1, age: .zero) == 3_000)
        #expect(LockTimeToLive.commit(size: 1 << 20, age: .zero) == 6_000)
        #expect(LockTimeToLive.commit(size: 4 << 20, age: .milliseconds(250)) == 12_250)
        #expect(LockTimeToLive.commit(size: 1 << 30, age: .zero) == 20_000)
        #expect(LockTimeToLive.commit(size: 16 << 10, age: .zero) == 3_000)
        #expect(LockTimeToLive.managed(age: .seconds(2)) == 22_000)
        #expect(LockTimeToLive.managed(age: .seconds(-1)) == 20_000)
    }

    @Test
    func heartbeatsStopAfterAnHourAndAfterTenFailures() {
        var heartbeat = Heartbeat()
        #expect(heartbeat.next(age: .zero) == .beat(after: .seconds(10)))
        #expect(heartbeat.next(age: .seconds(3_600)) == .stop)
        for _ in 0..<9 { heartbeat.failed() }
        #expect(heartbeat.next(age: .seconds(1)) == .beat(after: .seconds(10)))
        heartbeat.succeeded()
        for _ in 0..<10 { heartbeat.failed() }
        #expect(heartbeat.next(age: .seconds(1)) == .stop)
        var short = Heartbeat(longest: .seconds(60))
        #expect(short.next(age: .seconds(59)) == .beat(after: .seconds(10)))
        #expect(short.next(age: .seconds(60)) == .stop)
        #expect(Heartbeat.isNeeded(size: 1, isPessimistic: true))
        #expect(!Heartbeat.isNeeded(size: (32 << 20) - 1, isPessimistic: false))
        #expect(Heartbeat.isNeeded(size: 32 << 20, isPessimistic: false))
    }
}
