// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import Testing
import TiKVProto
import TiKVTransport

@testable import TiKVEmbedded

@Suite struct PDModelTests {
    // MARK: - Timestamps

    @Test func timestampsGoUpWhateverTheClockDoes() throws {
        var oracle = TimestampOracle()
        var last: (physical: UInt64, logical: UInt64) = (0, 0)
        var random = SplitMix(seed: 3)
        for _ in 0..<5_000 {
            let count = UInt32.random(in: 1...9_000, using: &random)
            let now = UInt64.random(in: 900...1_000, using: &random)
            let allocated = oracle.allocate(count: count, milliseconds: now)
            let next = try #require(allocated)
            // The whole batch, from the first to the last of its timestamps, is above what was given before.
            #expect(next.logical < 1 << 18)
            let first = next.logical + 1 - UInt64(count)
            #expect(next.physical > last.physical || (next.physical == last.physical && first > last.logical))
            last = next
        }
    }

    @Test func timestampsFollowTheClock() {
        var oracle = TimestampOracle()
        func take(_ count: UInt32, at milliseconds: UInt64) -> [UInt64]? {
            oracle.allocate(count: count, milliseconds: milliseconds).map { [$0.physical, $0.logical] }
        }
        #expect(take(5, at: 70) == [70, 5])
        #expect(take(1, at: 70) == [70, 6])
        #expect(take(2, at: 71) == [71, 2])
        #expect(take(1 << 17, at: 71) == [71, 2 + 1 << 17])
        #expect(take(1 << 17, at: 71) == [72, 1 << 17])
    }

    @Test func absurdCountsGetNoTimestamps() {
        var oracle = TimestampOracle()
        #expect(oracle.allocate(count: 0, milliseconds: 1) == nil)
        #expect(oracle.allocate(count: 1 << 18, milliseconds: 1) == nil)
    }

    @Test func requestsOfOtherClustersFail() throws {
        var model = ClusterModel(
            cluster: ClusterState(storeCount: 1, replicaCount: 1, splitKeys: []), clusterID: 42)
        let error = #expect(throws: RPCError.self) {
            try model.tso(
                .with {
                    $0.header.clusterID = 41
                    $0.count = 1
                }, clock: 0)
        }
        #expect(error?.code == .failedPrecondition)
        #expect(error?.message == "mismatch cluster id, need 42 but got 41")
        let answer = try model.tso(
            .with {
                $0.header.clusterID = 42
                $0.count = 3
            }, clock: 9)
        #expect(answer.count == 3 && answer.timestamp.physical == 9 && answer.timestamp.logical == 3)
        #expect(answer.header.clusterID == 42)
        model.clockOffsetMilliseconds = 1000
        #expect(
            try model.tso(
                .with {
                    $0.header.clusterID = 42
                    $0.count = 1
                }, clock: 9
            ).timestamp.physical == 1009)
    }

    // MARK: - Regions

    @Test func severalRangesAtOnce() throws {
        let cluster = ClusterState(
            storeCount: 1, replicaCount: 1, splitKeys: ["b", "d", "f", "h"].map { Array($0.utf8) })
        func starts(_ ranges: [(String, String)], limit: Int = 0) throws(RangeError) -> [String] {
            try cluster.regions(
                in: ranges.map { RawRange(start: Array($0.0.utf8), end: Array($0.1.utf8)) }, limit: limit
            ).map { String(decoding: $0.startKey, as: UTF8.self) }
        }
        #expect(try starts([("", "")]) == ["", "b", "d", "f", "h"])
        #expect(try starts([("", "b"), ("e", "g")]) == ["", "d", "f"])
        #expect(try starts([("a", "c"), ("c", "d0")]) == ["", "b", "d"], "a region of two ranges comes once")
        #expect(try starts([("a", "c"), ("c", "i")], limit: 3) == ["", "b", "d"])
        #expect(try starts([("a", "c"), ("c1", "c2"), ("i", "")]) == ["", "b", "h"])
        #expect(throws: RangeError.overlapping) { try starts([("a", "d"), ("c", "e")]) }
        #expect(throws: RangeError.backwards) { try starts([("d", "a")]) }
    }

    @Test func splitAtKeysOfManyRegions() {
        var cluster = ClusterState(storeCount: 1, replicaCount: 1, splitKeys: [Array("m".utf8)])
        let created = cluster.split(at: ["c", "x", "m", "c"].map { Array($0.utf8) })
        #expect(created.count == 2)
        #expect(cluster.regions.map { String(decoding: $0.startKey, as: UTF8.self) } == ["", "c", "m", "x"])
        #expect(created.allSatisfy { cluster.region($0) != nil })
    }

    @Test func scatterMovesTheLeaderOn() {
        var cluster = ClusterState(storeCount: 3, replicaCount: 3, splitKeys: [])
        let id = cluster.regions[0].id
        var leaders: [UInt64?] = []
        for _ in 0..<4 {
            cluster.scatter(id)
            leaders.append(cluster.regions[0].leaderStoreID)
        }
        #expect(leaders == [2, 3, 1, 2])
    }
}
