// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// What goes wrong on the way, and what is never done about it: an outcome that nobody knows is not told as a failure.
@Suite(.timeLimit(.minutes(3)), .enabled(if: TestCluster.hasControl, "injects faults"))
struct TransactionFaultTests {
    private static let passing: [(String, EmbeddedCluster.RegionErrorKind)] = [
        ("NotLeader", .notLeader), ("EpochNotMatch", .epochNotMatch), ("RegionNotFound", .regionNotFound),
        ("ServerIsBusy", .serverIsBusy(backoffMilliseconds: 1)), ("StaleCommand", .staleCommand),
        ("UndeterminedResult", .undeterminedResult), ("MaxTimestampNotSynced", .maxTimestampNotSynced),
    ]

    @Test
    func regionErrorsGoUnnoticed() async throws {
        try await TransactionSpace.withControl(splits: ["m"]) { space, cluster in
            try await space.write(["warm": "up"])
            for (name, kind) in Self.passing {
                for rpc in ["KvGet", "KvBatchGet", "KvScan", "KvPrewrite", "KvCommit"] {
                    let fault = cluster.inject(.regionError(kind), into: .init(rpc: rpc))
                    try await space.write(["a": Value(name), "z": Value(rpc)])
                    let reader = try await space.client.begin()
                    #expect(try await reader.get(space.key("a")) == Value(name))
                    let other = try await space.client.begin()
                    let both = try await other.batchGet([space.key("a"), space.key("z")])
                    #expect(both == [space.key("a"): Value(name), space.key("z"): Value(rpc)])
                    let scan = try await space.client.begin()
                    #expect(try await space.text(scan.scan(space.range)) == ["a=\(name)", "warm=up", "z=\(rpc)"])
                    #expect(cluster.remove(fault) == nil, "\(rpc) never met \(name)")
                }
            }
        }
    }

    @Test
    func aStoreThatDoesNotKnowWhatBecameOfACommitMakesItUndetermined() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.client.begin()
            try await transaction.put(space.key("a"), value: "1")
            cluster.inject(.regionError(.undeterminedResult), into: .init(rpc: "KvCommit"), times: nil)
            let error = await #expect(throws: TiKVError.self) { try await transaction.commit(timeout: .seconds(1)) }
            #expect(error?.code == .undetermined)
            #expect(error?.isRetryable == false)
        }
    }

    /// The store has committed, and nobody was told.
    @Test
    func aCommitWithoutAnAnswerIsUndetermined() async throws {
        try await TransactionSpace.withControl(splits: ["m"]) { space, cluster in
            let transaction = try await space.client.begin()
            try await transaction.put(space.key("a"), value: "1")
            try await transaction.put(space.key("z"), value: "1")
            cluster.inject(.dropAnswer, into: .init(rpc: "KvCommit"), times: nil)
            let error = await #expect(throws: TiKVError.self) { try await transaction.commit(timeout: .seconds(2)) }
            #expect(error?.code == .undetermined)
            #expect(error?.isOutcomeUnknown == true)
            #expect(error?.isRetryable == false)
            #expect(error?.transaction?.startTimestamp == transaction.startTimestamp.rawValue)
            cluster.removeAllFaults()
            // It was committed, the other key too: whoever meets its lock finds that out.
            let reader = try await space.client.begin()
            #expect(try await space.text(reader.scan(space.range)) == ["a=1", "z=1"])
        }
    }

    @Test
    func acommitThatIsCancelledIsUndetermined() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.client.begin()
            try await transaction.put(space.key("a"), value: "1")
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit"), times: nil)
            let error = await withTaskGroup(of: TiKVError?.self) { group in
                group.addTask {
                    do {
                        try await transaction.commit()
                        return nil
                    } catch {
                        return error as? TiKVError
                    }
                }
                try? await gate.waitForArrivals()
                group.cancelAll()
                return await group.next() ?? nil
            }
            gate.open()
            #expect(error?.code == .undetermined)
            #expect((error?.cause as? TiKVError)?.code == .cancelled)
        }
    }

    /// What fails before the decision is sent is a failure, and leaves no lock.
    @Test
    func aPrewriteWithoutAnAnswerFailsAndIsCleanedUp() async throws {
        try await TransactionSpace.withControl(splits: ["m"]) { space, cluster in
            let transaction = try await space.client.begin()
            try await transaction.put(space.key("a"), value: "1")
            try await transaction.put(space.key("z"), value: "1")
            let fault = cluster.inject(.dropAnswer, into: .init(rpc: "KvPrewrite"), times: nil)
            let error = await #expect(throws: TiKVError.self) { try await transaction.commit(timeout: .seconds(1)) }
            #expect(error?.isOutcomeUnknown == false)
            #expect(error?.isRetryable == true)
            cluster.remove(fault)
            // The next one finds the keys free, or waits for the cleanup to free them.
            try await space.write(["a": "2", "z": "2"])
            let reader = try await space.client.begin()
            #expect(try await space.text(reader.scan(space.range)) == ["a=2", "z=2"])
        }
    }

    /// The other keys are committed after the caller has gone on, and a reader that comes before that waits for nobody.
    @Test
    func readersGoPastLocksOfCommittedTransactions() async throws {
        try await TransactionSpace.withControl(splits: ["m"]) { space, cluster in
            try await space.write(["a": "0", "z": "0"])
            let region = try #require(
                cluster.regions.first { $0.startKey == TransactionSpace.encoded(space.key("m").bytes) })
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit", regionID: region.id), times: nil)
            try await space.write(["a": "1", "z": "1"])
            let reader = try await space.client.begin()
            #expect(try await reader.get(space.key("z")) == "1")
            let latest = try await space.client.snapshot().get(space.key("z"))
            #expect(latest == "1")
            gate.open()
        }
    }

    /// A reader pushes a transaction that has not committed yet, which then commits after the reader's moment.
    @Test
    func readersPushWritersBack() async throws {
        try await TransactionSpace.withControl { space, cluster in
            try await space.write(["a": "0"])
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit"), times: 1)
            let writer = try await space.client.begin()
            try await writer.put(space.key("a"), value: "1")
            async let committed = writer.commit()
            try await gate.waitForArrivals()
            let reader = try await space.client.begin()
            #expect(try await reader.get(space.key("a")) == "0")
            #expect(try await reader.batchGet([space.key("a")]) == [space.key("a"): "0"])
            #expect(try await space.client.snapshot().get(space.key("a")) == "0")
            gate.open()
            let timestamp = try #require(try await committed)
            #expect(timestamp > reader.startTimestamp)
            // What the reader sees stays.
            #expect(try await reader.get(space.key("a")) == "0")
        }
    }

    @Test
    func everyLockKnowsHowManyKeysItsRegionHas() async throws {
        try await TransactionSpace.withControl(splits: ["100"]) { space, cluster in
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit"), times: nil)
            let transaction = try await space.client.begin()
            let names = (50..<120).map { ($0 < 100 ? "0" : "") + "\($0)" }
            for name in names {
                try await transaction.put(space.key(name), value: Value([UInt8](repeating: 1, count: 1_024)))
            }
            async let committed = transaction.commit()
            try await gate.waitForArrivals()
            for (index, name) in names.enumerated() {
                let lock = try #require(cluster.transactionalState(of: space.key(name).bytes).locks.first)
                #expect(lock.txnSize == (index < 50 ? 50 : 20))
                #expect(lock.primary == space.key("050").bytes)
            }
            gate.open()
            _ = try await committed
        }
    }
}
