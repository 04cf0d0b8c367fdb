// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// Regions that are split behind the client's back: reads of many keys regroup them, and never ask a region for a key that
/// it does not hold.
@Suite(.timeLimit(.minutes(3)), .enabled(if: TestCluster.hasControl, "splits regions"))
struct SplitReadTests {
    private static func bound(_ space: TransactionSpace, _ name: String) -> [UInt8] {
        TransactionSpace.encoded(space.key(name).bytes)
    }

    private static func batchGet(
        _ snapshot: Snapshot, _ space: TransactionSpace, _ names: [String]
    ) async throws -> (values: [String: Value], statistics: RequestStatistics) {
        let recorder = RequestRecorder()
        let found = try await withRequestStatistics(recorder) {
            try await snapshot.batchGet(names.map { space.key($0) })
        }
        var values: [String: Value] = [:]
        for (key, value) in found { values[space.name(key)] = value }
        return (values, recorder.statistics)
    }

    @Test func keysOfARegionThatWasSplitAreRegrouped() async throws {
        try await TransactionSpace.withControl { space, cluster in
            try await space.write(["a": "1", "b": "2", "c": "3"])
            let before = try await Self.batchGet(space.client.snapshot(), space, ["a", "b", "c"])
            #expect(before.statistics.commands["KvBatchGet"]?.count == 1)
            _ = try cluster.split(at: Self.bound(space, "b"))
            let after = try await Self.batchGet(space.client.snapshot(), space, ["a", "b", "c"])
            #expect(after.values == ["a": "1", "b": "2", "c": "3"])
            // The old region was tried once; then each of the new ones got its own keys and no others.
            #expect(after.statistics.errors == ["EpochNotMatch": 1])
            #expect(after.statistics.commands["KvBatchGet"]?.count == 3)
        }
    }

    @Test func batchesOfSeveralRegionsGiveWhatIsThere() async throws {
        try await TransactionSpace.withControl { space, cluster in
            try await space.write(["a": "1", "c": "3"])
            // Nothing is known yet of where regions meet to a client that comes now.
            _ = try cluster.split(at: Self.bound(space, "b"))
            try await TransactionClient.withClient(pd: cluster.pdEndpoints) { client in
                let other = TransactionSpace(client: client, prefix: space.prefix)
                let two = try await Self.batchGet(client.snapshot(), other, ["a", "b", "c"])
                #expect(two.values == ["a": "1", "c": "3"])
                #expect(two.statistics.commands["KvBatchGet"]?.count == 2)
                #expect(two.statistics.errors == [:])
                // What it knows is out of date by now: the part with b and c is cut again.
                _ = try cluster.split(at: Self.bound(space, "c"))
                let three = try await Self.batchGet(client.snapshot(), other, ["a", "b", "c"])
                #expect(three.values == ["a": "1", "c": "3"])
                #expect(three.statistics.errors == ["EpochNotMatch": 1])
                #expect(three.statistics.commands["KvBatchGet"]?.count == 4)
            }
        }
    }

    @Test func anOpenLockIsReadAround() async throws {
        try await TransactionSpace.withControl(splits: ["b", "c"]) { space, cluster in
            try await space.write(["a": "1", "c": "3"])
            let writer = try await space.client.begin()
            try await writer.put(space.key("a"), value: "new")
            // Only where "a" is: "c" of the write above may still be on its way to its region.
            let region = try #require(cluster.region(of: space.key("a")))
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit", regionID: region.id))
            async let committed = writer.commit()
            try await gate.waitForArrivals()
            let reader = try await space.client.snapshot(at: space.client.currentTimestamp())
            let found = try await Self.batchGet(reader, space, ["a", "b", "c"])
            #expect(found.values == ["a": "1", "c": "3"])
            gate.open()
            let timestamp = try await committed
            #expect(timestamp != nil)
        }
    }

    /// Refuses one RPC.
    private struct Refusal: RPCInterceptor, Error {
        let name = "refusal"

        func intercept<Response: Sendable>(
            _ rpc: InterceptedRPC, next: RPCInterceptorNext<Response>
        ) async throws -> Response {
            if rpc.method == "KvBatchGet" { throw self }
            return try await next(rpc)
        }
    }

    @Test func aPartThatCannotBeSentFailsTheWhole() async throws {
        try await TransactionSpace.withControl(splits: ["b"]) { space, _ in
            try await space.write(["a": "1", "c": "3"])
            let error = await failure {
                try await withRPCInterceptor(Refusal()) {
                    try await space.client.snapshot().batchGet([space.key("a"), space.key("c")])
                }
            }
            #expect(error?.code == .interceptorFailed)
        }
    }

    /// What a store says about the regions that an old one has become is enough to go on.
    @Test func newRegionsAreLearntFromStoresAlone() async throws {
        try await TransactionSpace.withControl { space, cluster in
            try await space.write(["a": "1", "c": "3"])
            _ = try cluster.split(at: Self.bound(space, "b"))
            for rpc in ["GetRegion", "GetPrevRegion", "GetRegionByID", "ScanRegions", "BatchScanRegions"] {
                cluster.inject(.status(code: 13, message: "no"), into: .init(rpc: rpc), times: nil)
            }
            let transaction = try await space.client.begin()
            let values = try await [
                transaction.get(space.key("a"), timeout: .seconds(20)),
                transaction.get(space.key("c"), timeout: .seconds(20)),
            ]
            #expect(values == ["1", "3"])
        }
    }
}
