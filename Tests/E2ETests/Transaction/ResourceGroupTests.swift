// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded
import TiKVPD

/// What stores are told about resources, and how groups are held to their share.
@Suite(.timeLimit(.minutes(2)), .enabled(if: TestCluster.hasControl))
struct ResourceGroupTests {
    /// The reads that a transaction has.
    private enum Read: CaseIterable {
        case get
        case batchGet
        case scan

        func run(_ transaction: Transaction) async throws {
            switch self {
            case .get: _ = try await transaction.get("k")
            case .batchGet: _ = try await transaction.batchGet(["k"])
            case .scan: for try await _ in transaction.scan(KeyRange("a"..<"b")) {}
            }
        }
    }

    // MARK: - Names and tags

    @Test(arguments: [0, 1, 2])
    func aReadNamesItsGroup(number: Int) async throws {
        let read = Read.allCases[number]
        try await TransactionSpace.withControl { space, cluster in
            try await withResourceGroup("test") { try await read.run(try await space.client.begin()) }
            #expect(cluster.requestCount(resourceGroup: "test") == 1)
            // Outside of the scope nobody is named.
            try await read.run(try await space.client.begin())
            #expect(cluster.requestCount(resourceGroup: "test") == 1)
        }
    }

    @Test func aClientHasAGroupOfItsOwn() async throws {
        var configuration = ClientConfiguration()
        configuration.resourceControl.group = "mine"
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            try await space.write(["a": "1"])
            let count = cluster.requestCount(resourceGroup: "mine")
            #expect(count >= 2)
            try await withResourceGroup("other") { _ = try await space.client.snapshot().get("k") }
            #expect(cluster.requestCount(resourceGroup: "other") == 1)
        }
    }

    @Test(arguments: [0, 1, 2])
    func aReadCarriesItsTag(number: Int) async throws {
        let read = Read.allCases[number]
        let (fixed, called): ([UInt8], [UInt8]) = ([1, 2], [3, 4])
        for (hasFixed, hasTagger) in [(true, false), (false, true), (true, true)] {
            try await TransactionSpace.withControl { space, cluster in
                let options = TransactionOptions(resourceGroupTag: hasFixed ? fixed : [])
                let transaction = try await space.client.begin(options)
                if hasTagger {
                    try await withResourceGroupTagger { request in
                        request.isWrite || request.regionID == 0 ? [] : called
                    } operation: {
                        try await read.run(transaction)
                    }
                } else {
                    try await read.run(transaction)
                }
                #expect(cluster.requestCount(resourceGroupTag: hasFixed ? fixed : called) == 1)
                #expect(cluster.requestCount(resourceGroupTag: nil) == 1)
            }
        }
    }

    // MARK: - Usage

    @Test func requestsThatAreAnsweredAreCounted() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let recorder = ResourceUsageRecorder()
            try await withResourceUsage(recordedBy: recorder) {
                let transaction = try await space.client.begin()
                _ = try await transaction.get(space.key("a"))
                _ = try await transaction.batchGet([space.key("b")])
                #expect(recorder.usage.readRequests == 2 && recorder.usage.writeRequests == 0)
                try await transaction.put(space.key("a"), value: "1")
                try await transaction.put(space.key("b"), value: "2")
                _ = try await transaction.commit()
            }
            let usage = recorder.drain()
            // The prewrite and the commit, at least.
            #expect(usage.readRequests == 2 && usage.writeRequests >= 1)
            #expect(usage.unitsV2 > 0)
            #expect(recorder.usage == ResourceUsage())
        }
    }

    @Test func whatGotNoAnswerIsNotCountedAndTakesNothingAway() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let recorder = ResourceUsageRecorder()
            let key = space.key("a")
            try await withResourceUsage(recordedBy: recorder) {
                _ = try await space.client.snapshot().get(key)
                let before = recorder.usage
                cluster.inject(.dropAnswer, into: .init(rpc: "KvGet"), times: nil)
                let error = await #expect(throws: TiKVError.self) {
                    try await space.client.snapshot().get(key, timeout: .milliseconds(300))
                }
                #expect(error != nil)
                #expect(recorder.usage == before)
            }
        }
    }

    @Test func theSystemsOwnRequestsAreFree() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let recorder = ResourceUsageRecorder()
            try await withResourceUsage(recordedBy: recorder) {
                try await withRequestSource(RequestSource("others", isInternal: true)) {
                    _ = try await space.client.snapshot().get(space.key("a"))
                }
            }
            #expect(recorder.usage == ResourceUsage())
        }
    }

    // MARK: - Shares

    private func withGroup(
        rate: UInt64, burst: Int64, maximumWait: Duration = .seconds(30),
        _ body: (TransactionSpace, EmbeddedCluster, PDClient) async throws -> Void
    ) async throws {
        var configuration = ClientConfiguration()
        configuration.resourceControl.isEnabled = true
        configuration.resourceControl.maximumWait = maximumWait
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            try await PDAccess.withClient(pd: cluster.pdEndpoints, logger: .tikvSilent) { pd in
                try await pd.addResourceGroup(
                    ResourceGroup(name: "g", requestUnits: .init(fillRate: rate, burstLimit: burst)),
                    deadline: Deadline(after: .seconds(20), from: .now))
                try await body(space, cluster, pd)
            }
        }
    }

    @Test func whatAGroupUsesIsToldToPD() async throws {
        try await self.withGroup(rate: 100_000, burst: 100_000) { space, cluster, pd in
            let recorder = ResourceUsageRecorder()
            try await withResourceUsage(recordedBy: recorder) {
                try await withResourceGroup("g") {
                    for number in 0..<100 { try await space.write(["k\(number)": "1"]) }
                }
            }
            #expect(recorder.usage.writeUnits > 100)
            #expect(cluster.requestCount("AcquireTokenBuckets") > 0)
            var used = 0.0
            while used < 100 {
                let group = try await pd.resourceGroup(
                    named: "g", includingConsumption: true, deadline: Deadline(after: .seconds(20), from: .now))
                used = group?.consumption?.writeUnits ?? 0
                await Task.yield()
            }
        }
    }

    @Test func aGroupWithoutTokensIsHeldBack() async throws {
        try await self.withGroup(rate: 1, burst: 1, maximumWait: .zero) { space, cluster, _ in
            _ = try await space.client.snapshot().get(space.key("a"))
            let rpcs = ["KvPrewrite", "GetRegion", "ScanRegions", "BatchScanRegions", "GetRegionByID", "GetStore"]
            let before = rpcs.map { cluster.requestCount($0) }
            let error = await #expect(throws: TiKVError.self) {
                try await withResourceGroup("g") {
                    try await space.write(["a": Value([UInt8](repeating: 1, count: 100_000))])
                }
            }
            #expect(error?.code == .resourceGroupThrottled)
            // Others go on, by the same region and store: nothing was sent, and so nothing is doubted.
            _ = try await space.client.snapshot().get(space.key("a"))
            #expect(rpcs.map { cluster.requestCount($0) } == before)
        }
    }

    @Test func aGroupThatPDDoesNotKnowIsAnError() async throws {
        try await self.withGroup(rate: 1, burst: 1) { space, cluster, _ in
            let before = cluster.requestCount("KvGet")
            let error = await #expect(throws: TiKVError.self) {
                try await withResourceGroup("unknown") { _ = try await space.client.snapshot().get(space.key("a")) }
            }
            #expect(error?.code == .resourceGroupUnavailable)
            #expect(cluster.requestCount("KvGet") == before)
        }
    }
}
