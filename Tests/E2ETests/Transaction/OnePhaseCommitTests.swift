// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded

@testable import TiKV

/// Transactions that one request commits.
@Suite(.timeLimit(.minutes(3)), .enabled(if: TestCluster.hasControl, "changes the cluster"))
struct OnePhaseCommitTests {
    @Test
    func oneRequestCommits() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let steps: [[(String, Value)]] = [
                [("k1", "1")], [("k2", "2"), ("k3", "2"), ("k4", "2")], [("k3", "3")],
            ]
            var old: [String: Value] = [:]
            for pairs in steps {
                let transaction = try await space.begin(FastCommit.onePhase.options(), pairs)
                let commit = try #require(try await transaction.commit())
                #expect(await transaction.commitDetails?.kind == .onePhase)
                #expect(commit > transaction.startTimestamp)
                #expect(cluster.lockedKeys.isEmpty)
                for (name, value) in pairs {
                    #expect(cluster.commits(of: space.key(name)).first == commit.rawValue)
                    #expect(try await space.value(name, at: commit) == value)
                    #expect(try await space.value(name, at: commit.previous) == old[name])
                    old[name] = value
                }
            }
            #expect(cluster.requestCount("KvPrewrite") == 3)
            #expect(cluster.requestCount("KvCommit") == 0)
            #expect(cluster.requestCount("KvTxnHeartBeat") == 0)

            let usual = try await space.begin([("k1", "4")])
            #expect(try #require(try await usual.commit()) > usual.startTimestamp)
            #expect(await usual.commitDetails?.kind == .twoPhase)
            for (name, value) in [("k1", "4"), ("k2", "2"), ("k3", "3"), ("k4", "2")] as [(String, Value)] {
                #expect(try await space.latest(name) == value)
            }
        }
    }

    /// The locks go with the commit.
    @Test
    func pessimisticTransactionsToo() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin(FastCommit.onePhase.options(.pessimistic), [("a", "1")])
            try await transaction.lock([space.key("b")])
            #expect(cluster.lockedKeys.count == 2)
            try await transaction.commit()
            #expect(await transaction.commitDetails?.kind == .onePhase)
            #expect(cluster.lockedKeys.isEmpty)
            #expect(try await space.latest("a") == "1")
        }
    }

    @Test
    func allKindsOfWritesTakePart() async throws {
        try await TransactionSpace.withControl { space, cluster in
            try await space.write(["gone": "0", "there": "0"])
            let transaction = try await space.begin(FastCommit.onePhase.options(), [("put", "1")])
            try await transaction.delete(space.key("gone"))
            try await transaction.insert(space.key("new"), value: "1")
            try await transaction.insert(space.key("not"), value: "1")
            try await transaction.delete(space.key("not"))
            try await transaction.lock([space.key("there")])
            try await transaction.commit()
            #expect(await transaction.commitDetails?.kind == .onePhase)
            #expect(cluster.lockedKeys.isEmpty)
            for (name, value) in [("put", "1"), ("gone", nil), ("new", "1"), ("not", nil), ("there", "0")]
                as [(String, Value?)]
            {
                #expect(try await space.latest(name) == value)
            }
            // One key that can't be written keeps all from being.
            let inserting = try await space.begin(FastCommit.onePhase.options(), [("put", "2")])
            try await inserting.insert(space.key("new"), value: "2")
            #expect(await failure { try await inserting.commit() }?.code == .keyAlreadyExists)
            let late = try await space.begin(FastCommit.onePhase.options(), [("put", "2"), ("there", "2")])
            try await space.commit("there", "1")
            #expect(await failure { try await late.commit() }?.code == .writeConflict)
            #expect(try await space.latest("put") == "1")
        }
    }

    @Test
    func keysOfSeveralRegionsAreCommittedInTwoPhases() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let one = try await space.begin(FastCommit.onePhase.options(), [("k0", "0"), ("k3", "3")])
            try await one.commit()
            #expect(await one.commitDetails?.kind == .onePhase)
            // The client does not know of it yet.
            _ = try cluster.split(at: TransactionSpace.encoded(space.key("k2").bytes))
            let two = try await space.begin(FastCommit.onePhase.options(), [("k1", "1"), ("k2", "2")])
            let commit = try #require(try await two.commit())
            #expect(commit > two.startTimestamp)
            #expect(await two.commitDetails?.kind == .twoPhase)
            for number in 0...3 { #expect(try await space.latest("k\(number)") == Value("\(number)")) }
            // Committed as soon as they are locked, where that may be as well.
            let three = try await space.begin(
                .init(asyncCommit: true, onePhaseCommit: true), [("k1", "4"), ("k2", "4")])
            try await three.commit()
            #expect(await three.commitDetails?.kind == .async)
        }
    }

    @Test
    func whatDoesNotFitInOneRequestIsCommittedInTwoPhases() async throws {
        let configuration = ClientConfiguration.transactions { $0.batchSizeLimit = 1_000 }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let value = Value([UInt8](repeating: 1, count: 600))
            for (names, kind) in [
                (["a"], CommitDetails.Kind.onePhase), (["a", "b"], .onePhase), (["a", "b", "c"], .twoPhase),
            ] {
                let transaction = try await space.begin(FastCommit.onePhase.options(), names.map { ($0, value) })
                try await transaction.commit()
                #expect(await transaction.commitDetails?.kind == kind)
            }
            #expect(cluster.requestCount("KvPrewrite") == 4)
        }
    }

    @Test
    func commitsAreCountedByProtocol() async throws {
        try await TransactionSpace.withControl { space, _ in
            #expect(space.client.commitCounts.isEmpty)
            try await space.commit("k", "1")
            #expect(space.client.commitCounts == [.twoPhase: 1])
            try await space.begin(FastCommit.async.options(), [("k", "2")]).commit()
            #expect(space.client.commitCounts == [.twoPhase: 1, .async: 1])
            try await space.begin(FastCommit.onePhase.options(), [("k", "3")]).commit()
            #expect(space.client.commitCounts == [.twoPhase: 1, .async: 1, .onePhase: 1])
            // Nothing is committed.
            try await space.begin(FastCommit.onePhase.options(), []).commit()
            let late = try await space.begin(FastCommit.onePhase.options(), [("k", "5")])
            try await space.commit("k", "4")
            _ = await failure { try await late.commit() }
            #expect(space.client.commitCounts == [.twoPhase: 2, .async: 1, .onePhase: 1])
        }
    }
}
