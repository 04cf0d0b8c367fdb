// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import SwiftProtobuf
import Testing
import TiKVEmbedded
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// That a client uses what PD offers, as its configuration says.
@Suite(.timeLimit(.minutes(1))) struct PDWiringTests {
    private func with(
        _ cluster: EmbeddedCluster.Configuration = .init(storeCount: 3, pdMembers: 3),
        _ mode: Keyspace.Mode = .raw, _ configuration: ClientConfiguration = .init(),
        _ body: (ClientCore, EmbeddedCluster) async throws -> Void
    ) async throws {
        try await EmbeddedCluster.withCluster(cluster) { cluster in
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let core = try ClientCore(
                mode, pd: cluster.pdEndpoints.compactMap { PeerAddress($0) }, configuration: configuration,
                logger: logger)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await core.run() }
                defer { group.cancelAll() }
                try await body(core, cluster)
            }
        }
    }

    private func deadline(_ timeout: Duration = .seconds(30)) -> Deadline { Deadline(after: timeout, from: .now) }

    private func region(_ core: ClientCore, _ key: String) async throws -> CachedRegion {
        guard
            case .region(let region) = try await core.sender.cache.load(
                containing: Array(key.utf8), deadline: self.deadline())
        else { throw TiKVError(.regionUnavailable, "") }
        return region
    }

    // MARK: - Settings

    @Test func whatIsConfiguredReachesTheClientOfPD() {
        let plain = ClientConfiguration.PD().forClient
        let defaults = PDConfiguration()
        #expect(plain.requestTimeout == .seconds(3) && defaults.requestTimeout == .seconds(3))
        #expect(plain.memberRefreshInterval == defaults.memberRefreshInterval)
        #expect(!plain.forwarding && !plain.followerHandling && !plain.timestamps.usesFollowers)
        #expect(plain.timestamps.streams == 1 && plain.timestamps.maximumWait == .zero)
        #expect(plain.circuitBreaker.errorPercentage == 0 && plain.circuitBreaker.window == .seconds(30))
        #expect(plain.circuitBreaker.minimumRate == 10 && plain.circuitBreaker.coolDown == .seconds(10))
        #expect(plain.lowResolutionInterval == .seconds(2) && plain.callerID == "tikv-swift")
        let changed = ClientConfiguration.PD(
            requestTimeout: .seconds(4), memberRefreshInterval: .seconds(5), isForwardingEnabled: true,
            asksFollowers: true, lowResolutionInterval: .seconds(6), maximumTimestampWait: .seconds(7),
            timestampStreams: 3, usesTimestampFollowers: true,
            circuitBreaker: .init(
                errorPercentage: 8, minimumRate: 9, window: .seconds(10), coolDown: .seconds(11), trials: 0),
            callerID: "me"
        ).forClient
        #expect(changed.requestTimeout == .seconds(4) && changed.timestamps.requestTimeout == .seconds(4))
        #expect(changed.memberRefreshInterval == .seconds(5) && changed.lowResolutionInterval == .seconds(6))
        #expect(changed.forwarding && changed.followerHandling && changed.callerID == "me")
        // Beyond that, waiting costs more than it brings.
        #expect(changed.timestamps.maximumWait == .milliseconds(10))
        #expect(changed.timestamps.streams == 3 && changed.timestamps.usesFollowers)
        #expect(changed.circuitBreaker.errorPercentage == 8 && changed.circuitBreaker.minimumRate == 9)
        #expect(changed.circuitBreaker.window == .seconds(10) && changed.circuitBreaker.coolDown == .seconds(11))
        #expect(changed.circuitBreaker.trials == 1)
    }

    @Test func followersAreAskedForRegionsWhereThatIsAllowed() async throws {
        for isAllowed in [false, true] {
            let configuration = ClientConfiguration(pd: .init(asksFollowers: isAllowed))
            let splits = (1...9).map { Array("\($0)".utf8) }
            try await self.with(.init(splitKeys: splits, pdMembers: 3), .raw, configuration) { core, cluster in
                for key in 1...9 { _ = try await self.region(core, "\(key)") }
                let leader = try #require(cluster.pdLeader)
                for member in 1...3 where member != leader {
                    let count = cluster.requestCount("GetRegion", on: .placementDriver(member))
                    #expect((count > 0) == isAllowed)
                }
                #expect(cluster.requestCount("GetRegion", on: .placementDriver(leader)) > 0)
            }
        }
    }

    @Test func anOverloadedPDIsLeftAlone() async throws {
        let breaker = ClientConfiguration.PD.CircuitBreaker(errorPercentage: 1, minimumRate: 0, window: .zero)
        try await self.with(.init(storeCount: 1), .raw, .init(pd: .init(circuitBreaker: breaker))) { core, cluster in
            _ = try await core.pd.allStores(deadline: self.deadline())
            let fault = cluster.inject(
                .status(code: 8, message: "too many"), into: .init(rpc: "GetRegion"), times: nil)
            await #expect(throws: TiKVError.self) {
                _ = try await core.sender.cache.load(containing: [1], deadline: self.deadline(.seconds(4)))
            }
            _ = cluster.remove(fault)
            let count = cluster.requestCount("GetRegion")
            let error = await #expect(throws: TiKVError.self) {
                _ = try await core.sender.cache.load(containing: [1], deadline: self.deadline())
            }
            #expect(error?.message.contains("held back") == true)
            #expect(cluster.requestCount("GetRegion") == count)
        }
    }

    // MARK: - Buckets

    @Test(arguments: [false, true])
    func bucketsComeWithRegions(inKeyspace: Bool) async throws {
        let version: APIVersion = inKeyspace ? .v2 : .v1
        let mode: Keyspace.Mode = inKeyspace ? .transaction : .raw
        var cluster = EmbeddedCluster.Configuration(storeCount: 1)
        if inKeyspace { cluster.apiVersion = .v2 }
        try await self.with(cluster, mode, .init(apiVersion: version)) { core, cluster in
            let codec = try await core.sender.codecs.codec(deadline: self.deadline())
            let first = try #require(cluster.regions.first)
            let keys = ["g", "p"].map { codec.encodeRegionKey(Array($0.utf8)) }
            try cluster.setBuckets(ofRegion: first.id, keys: keys, version: 7)
            let region = try await self.region(core, "h")
            #expect(region.buckets?.version == 7)
            #expect(region.buckets?.keys == [[], [0x67], [0x70], []])
            // Newer ones, of which a store has told, are asked for in the background.
            try cluster.setBuckets(ofRegion: first.id, keys: [keys[0]], version: 8)
            cluster.inject(
                .regionError(.bucketVersionNotMatch(version: 8, keys: [])),
                into: .init(rpc: inKeyspace ? "KvGet" : "RawGet"))
            if inKeyspace {
                let _: Kvrpcpb_GetResponse = try await core.sender.send(
                    TikvpbTikvRPC.kvGet, .with { $0.key = Data([0x68]) }, key: [0x68], timeout: .seconds(20),
                    isWrite: false)
            } else {
                let _: Kvrpcpb_RawGetResponse = try await core.sender.send(
                    TikvpbTikvRPC.rawGet, .with { $0.key = Data([0x68]) }, key: [0x68], timeout: .seconds(20),
                    isWrite: false)
            }
            while true {
                let now = core.sender.cache.usable(containing: [0x68], now: .now)
                if now?.buckets?.version == 8 { break }
                await Task.yield()
            }
            let known = core.sender.cache.usable(containing: [0x68], now: .now)
            #expect(known?.buckets?.bucket(of: [0x68], in: KeySpan(start: [], end: []))?.start == [0x67])
        }
    }

    // MARK: - Moving regions

    @Test func pdSpreadsRegionsThatWereSplit() async throws {
        try await self.with { core, cluster in
            let splitter = core.splitter(isRaw: true)
            let ids = try await splitter.split(at: [[0x67], [0x70]], scatter: "table")
            #expect(ids.count == 2)
            #expect(cluster.regions.map(\.startKey) == [[], [0x67], [0x70]])
            #expect(cluster.requestCount("ScatterRegion") == 1)
            try await splitter.waitUntilScattered(ids, timeout: .seconds(20))
            cluster.setOperator(ofRegion: ids[0], isRunning: true)
            let error = await #expect(throws: TiKVError.self) {
                try await splitter.waitUntilScattered(ids, timeout: .milliseconds(200))
            }
            #expect(error?.code == .deadlineExceeded)
            // A region that PD knows nothing of is said so.
            await #expect(throws: PDError.self) {
                try await core.pd.scatter([9999], group: "table", deadline: self.deadline())
            }
        }
    }
}
