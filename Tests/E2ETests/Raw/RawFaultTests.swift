// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// Every region error, thrown at every operation.
@Suite(.timeLimit(.minutes(3)), .enabled(if: TestCluster.hasControl, "injects faults"))
struct RawFaultTests {
    struct Injected: Sendable, CustomTestStringConvertible {
        var name: String
        var kind: EmbeddedCluster.RegionErrorKind
        var testDescription: String { self.name }
    }

    enum Operation: String, CaseIterable {
        case get = "RawGet"
        case put = "RawPut"
        case delete = "RawDelete"
        case batchGet = "RawBatchGet"
        case batchPut = "RawBatchPut"
        case batchDelete = "RawBatchDelete"
        case scan = "RawScan"
        case deleteRange = "RawDeleteRange"
    }

    /// What a client gets over by itself.
    static let passing: [Injected] = [
        Injected(name: "NotLeader", kind: .notLeader),
        Injected(name: "NotLeader without hint", kind: .notLeaderWithoutHint),
        Injected(name: "NotLeader with a wrong hint", kind: .notLeader(hint: 2)),
        Injected(name: "EpochNotMatch", kind: .epochNotMatch),
        Injected(name: "EpochNotMatch without regions", kind: .epochNotMatchWithoutRegions),
        Injected(name: "RegionNotFound", kind: .regionNotFound),
        Injected(name: "KeyNotInRegion", kind: .keyNotInRegion),
        Injected(name: "StoreNotMatch", kind: .storeNotMatch),
        Injected(name: "MismatchPeerId", kind: .mismatchPeerID),
        Injected(name: "RegionNotInitialized", kind: .regionNotInitialized),
        Injected(name: "IsWitness", kind: .isWitness),
        Injected(name: "ServerIsBusy", kind: .serverIsBusy(backoffMilliseconds: 1)),
        Injected(name: "StaleCommand", kind: .staleCommand),
        Injected(name: "MaxTimestampNotSynced", kind: .maxTimestampNotSynced),
        Injected(name: "ReadIndexNotReady", kind: .readIndexNotReady),
        Injected(name: "ProposalInMergingMode", kind: .proposalInMergingMode),
        Injected(name: "DataIsNotReady", kind: .dataIsNotReady()),
        Injected(name: "RecoveryInProgress", kind: .recoveryInProgress),
        Injected(name: "BucketVersionNotMatch", kind: .bucketVersionNotMatch(version: 2, keys: [])),
        Injected(name: "DiskFull", kind: .diskFull),
        Injected(name: "a text", kind: .other("something of a later version")),
        Injected(name: "deadline", kind: .other("deadline is exceeded")),
    ]

    /// Does an operation on `a` and `z`, which are in two regions, and says whether it did what it should.
    private func perform(_ operation: Operation, _ client: RawClient) async throws -> Bool {
        try await client.batchPut([("a", "1"), ("z", "2")])
        switch operation {
        case .get:
            return try await client.get("a") == "1"
        case .put:
            try await client.put("a", value: "3")
            return try await client.get("a") == "3"
        case .delete:
            try await client.delete("a")
            return try await client.get("a") == nil
        case .batchGet:
            return try await client.batchGet(["a", "z"]) == ["a": "1", "z": "2"]
        case .batchPut:
            try await client.batchPut([("a", "3"), ("z", "4")])
            return try await client.batchGet(["a", "z"]) == ["a": "3", "z": "4"]
        case .batchDelete:
            try await client.batchDelete(["a", "z"])
            return try await client.batchGet(["a", "z"]).isEmpty
        case .scan:
            var keys: [Key] = []
            for try await (key, _) in client.scan(.everything) { keys.append(key) }
            for try await (key, _) in client.scan(.everything, reversed: true) { keys.append(key) }
            return keys == ["a", "z", "z", "a"]
        case .deleteRange:
            try await client.deleteRange(.everything)
            return try await client.batchGet(["a", "z"]).isEmpty
        }
    }

    @Test(arguments: Self.passing)
    func theClientGetsOver(injected: Injected) async throws {
        try await TestCluster.withControl(.init(splitKeys: [Array("m".utf8)])) { client, cluster in
            try await client.put("a", value: "warm")
            for operation in Operation.allCases {
                let before = cluster.requestCount(operation.rawValue)
                let fault = cluster.inject(.regionError(injected.kind), into: .init(rpc: operation.rawValue))
                #expect(try await self.perform(operation, client), "\(operation)")
                #expect(cluster.remove(fault) == nil, "\(operation) never met the fault")
                #expect(cluster.requestCount(operation.rawValue) > before + 1, "\(operation)")
            }
        }
    }

    @Test(arguments: [
        (Injected(name: "RaftEntryTooLarge", kind: .raftEntryTooLarge(size: 9)), TiKVError.Code.entryTooLarge),
        (Injected(name: "FlashbackInProgress", kind: .flashbackInProgress(startTS: 1)), .flashbackInProgress),
        (Injected(name: "FlashbackNotPrepared", kind: .flashbackNotPrepared), .flashbackInProgress),
    ])
    func theClientGivesUp(injected: Injected, code: TiKVError.Code) async throws {
        try await TestCluster.withControl { client, cluster in
            cluster.inject(.regionError(injected.kind), into: .init(rpc: "RawPut"))
            let error = await failure { try await client.put("a", value: "v") }
            #expect(error?.code == code)
            #expect(error?.isOutcomeUnknown == false)
            #expect(cluster.requestCount("RawPut") == 1)
            try await client.put("a", value: "v")
        }
    }

    @Test func anUndeterminedResultIsSaidSoOfWritesOnly() async throws {
        try await TestCluster.withControl { client, cluster in
            try await client.put("a", value: "1")
            cluster.inject(.regionError(.undeterminedResult), into: .init(rpc: "RawPut"))
            let error = await failure { try await client.put("a", value: "2") }
            #expect(error?.code == .undetermined)
            #expect(error?.isOutcomeUnknown == true)
            #expect(cluster.requestCount("RawPut") == 2)
            let fault = cluster.inject(.regionError(.undeterminedResult), into: .init(rpc: "RawGet"))
            #expect(try await client.get("a") == "1")
            #expect(cluster.remove(fault) == nil)
        }
    }

    @Test func brokenConnectionsGoUnnoticed() async throws {
        try await TestCluster.withControl(.init(splitKeys: [Array("m".utf8)])) { client, cluster in
            for operation in Operation.allCases {
                let fault = cluster.inject(.cutConnection, into: .init(rpc: operation.rawValue))
                let isDone = try await self.perform(operation, client)
                #expect(isDone, "\(operation)")
                #expect(cluster.remove(fault) == nil, "\(operation) never met the fault")
            }
        }
    }

    @Test func statusesOfAServerInTroubleGoUnnoticed() async throws {
        // Each request by itself: a message of many has no place for the status of one.
        var configuration = ClientConfiguration()
        configuration.connection.maximumBatchSize = 0
        try await TestCluster.withControl(configuration: configuration) { client, cluster in
            for code in [1, 2, 10, 13, 14] {
                let fault = cluster.inject(.status(code: code, message: "x"), into: .init(rpc: "RawPut"))
                try await client.put("a", value: Value("\(code)"))
                #expect(try await client.get("a") == Value("\(code)"))
                #expect(cluster.remove(fault) == nil)
            }
            cluster.inject(.status(code: 7, message: "about key a"), into: .init(rpc: "RawPut"))
            let error = await failure { try await client.put("a", value: "v") }
            #expect(error?.code == .serverError)
            #expect(error?.description.contains("key a") == false)
            #expect(error?.debugDescription.contains("key a") == true)
        }
    }

    @Test func statusesWithinABatchGoUnnoticed() async throws {
        try await TestCluster.withControl { client, cluster in
            for code in [1, 2, 7, 10, 13, 14] {
                let fault = cluster.inject(.status(code: code, message: "x"), into: .init(rpc: "RawPut"))
                try await client.put("a", value: Value("\(code)"))
                #expect(try await client.get("a") == Value("\(code)"))
                #expect(cluster.remove(fault) == nil)
            }
        }
    }

    @Test func troubleWithPDGoesUnnoticed() async throws {
        try await TestCluster.withControl(.init(splitKeys: [[0x40], [0x80]])) { client, cluster in
            cluster.inject(.status(code: 14, message: "not leader"), into: .init(rpc: "GetRegion"))
            cluster.inject(.cutConnection, into: .init(rpc: "GetStore"))
            try await client.put([1], value: "v")
            cluster.inject(.cutConnection, into: .init(rpc: "ScanRegions"))
            cluster.inject(.status(code: 2, message: "not leader"), into: .init(rpc: "ScanRegions"))
            #expect(try await client.batchGet([[1], [0x50], [0x90]]) == [[1]: "v"])
        }
    }
}
