// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded

@testable import TiKV

/// What is asserted of keys, and who finds out that it is otherwise.
@Suite(.timeLimit(.minutes(3)))
struct AssertionTests {
    enum Mode: CaseIterable, Sendable {
        case optimistic
        /// Another key is locked, those that are written are not.
        case unlocked
        case locked
    }

    private func commit(
        _ space: TransactionSpace, _ mode: Mode, _ level: TransactionOptions.AssertionLevel,
        _ assertions: [(String, Bool)]
    ) async throws -> (error: TiKVError?, start: UInt64) {
        let kind: TransactionOptions.Kind = mode == .optimistic ? .optimistic : .pessimistic
        let transaction = try await space.client.begin(.init(kind: kind, assertionLevel: level))
        if mode == .unlocked { try await transaction.lock([space.key("other")]) }
        for (name, exists) in assertions {
            let key = space.key(name)
            if mode == .unlocked {
                try await transaction.putWithoutLock(key, value: Value([1]))
            } else {
                try await transaction.put(key, value: Value([1]))
            }
            try await transaction.assert(key, exists: exists)
        }
        return (await failure { try await transaction.commit() }, transaction.startTimestamp.rawValue)
    }

    @Test(arguments: Mode.allCases)
    func whatIsOtherwiseThanAssertedFailsTheCommit(mode: Mode) async throws {
        try await TransactionSpace.with { space in
            let preparing = try await space.begin([("k1", "1"), ("k3", "3"), ("k7", "7")])
            let committed = try #require(try await preparing.commit())
            let right = try await self.commit(space, mode, .strict, [("k1", true), ("k2", false)])
            #expect(right.error == nil)
            for (wrong, exists, others) in [
                ("k3", false, []), ("k4", true, []), ("k7", false, [("k5", false), ("k6", false)]),
                ("k10", true, [("k8", false), ("k9", false)]),
            ] as [(String, Bool, [(String, Bool)])] {
                let result = try await self.commit(space, mode, .strict, others + [(wrong, exists)])
                #expect(result.error?.code == .assertionFailed)
                #expect(result.error?.isRetryable == false)
                #expect(result.error?.transaction?.startTimestamp == result.start)
                let assertion = result.error?.transaction?.assertion
                #expect(assertion?.key == space.key(wrong))
                #expect(assertion?.exists == exists)
                #expect(assertion?.existingStartTimestamp == (exists ? 0 : preparing.startTimestamp.rawValue))
                #expect(assertion?.existingCommitTimestamp == (exists ? 0 : committed.rawValue))
            }
        }
    }

    /// What nobody checks goes through; what locking has shown is known without asking.
    @Test
    func whatLockingHasShownIsHeldAgainstAssertions() async throws {
        try await TransactionSpace.with { space in
            try await space.write(["a": "1"])
            let none = try await self.commit(space, .optimistic, .off, [("a", false), ("b", true)])
            #expect(none.error == nil)
            let transaction = try await space.client.begin(.pessimistic)
            try await transaction.put(space.key("a"), value: "2")
            try await transaction.assert(space.key("a"), exists: false)
            try await transaction.put(space.key("c"), value: "2")
            try await transaction.assert(space.key("c"), exists: true)
            #expect(try await transaction.plan().mutations.map(\.isAssertionRefuted) == [true, true])
            try await transaction.assert(space.key("a"), exists: true)
            try await transaction.assert(space.key("c"), exists: nil)
            #expect(try await transaction.plan().mutations.map(\.isAssertionRefuted) == [false, false])
            try await transaction.commit()
        }
    }

    /// A transaction that has lost its lock says so: that an assertion fails may be the consequence.
    @Test(.enabled(if: TestCluster.hasControl, "lets locks expire"), arguments: [false, true], ["a", "b", nil])
    func otherFailuresComeFirst(isSplit: Bool, delayed: String?) async throws {
        let configuration = ClientConfiguration.transactions {
            $0.lockTimeToLive = .milliseconds(1)
            if isSplit { $0.batchSizeLimit = 1 }
        }
        try await TransactionSpace.withControl(splits: isSplit ? ["b"] : [], configuration: configuration) {
            space, cluster in
            let transaction = try await space.client.begin(.init(kind: .pessimistic, assertionLevel: .strict))
            try await transaction.put(space.key("a"), value: "1")
            try await transaction.putWithoutLock(space.key("b"), value: "1")
            for name in ["a", "b"] { try await transaction.assert(space.key(name), exists: false) }
            await transaction.stopKeeper()
            cluster.advanceClock(by: .seconds(1))
            try await space.write(["a": "2", "b": "2"])
            let gate = EmbeddedCluster.Gate()
            if let delayed, isSplit {
                let region = try #require(cluster.region(of: space.key(delayed)))
                cluster.inject(.hold(gate), into: .init(rpc: "KvPrewrite", regionID: region.id))
            }
            async let failed = failure { try await transaction.commit() }
            if delayed != nil, isSplit { try await gate.waitForArrivals() }
            gate.open()
            let error = await failed
            #expect(error != nil)
            #expect(error?.code != .assertionFailed)
            #expect(try await space.latest("a") == "2")
        }
    }
}
