// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import Testing
import TiKVPD
import TiKVProto

@testable import TiKV

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The parts of regions.
@Suite(.timeLimit(.minutes(1))) struct RegionBucketsTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
    private func span(_ start: String, _ end: String) -> KeySpan { KeySpan(start: bytes(start), end: bytes(end)) }

    private func bucket(_ key: String, _ keys: [String], _ region: KeySpan) -> KeySpan? {
        RegionBuckets(version: 1, keys: keys.map { self.bytes($0) }).bucket(of: self.bytes(key), in: region)
    }

    @Test func theBucketOfAKey() {
        let region = self.span("b", "p")
        let keys = ["b", "d", "g", "p"]
        #expect(self.bucket("b", keys, region) == self.span("b", "d"))
        #expect(self.bucket("c", keys, region) == self.span("b", "d"))
        #expect(self.bucket("d", keys, region) == self.span("d", "g"))
        #expect(self.bucket("o", keys, region) == self.span("g", "p"))
        #expect(self.bucket("a", keys, region) == nil)
        #expect(self.bucket("p", keys, region) == nil)
    }

    @Test func whatTheKeysLeaveOutIsABucketToo() {
        let region = self.span("b", "p")
        #expect(self.bucket("c", ["e", "g", "k"], region) == self.span("b", "e"))
        #expect(self.bucket("m", ["e", "g", "k"], region) == self.span("k", "p"))
        #expect(self.bucket("c", [], region) == region)
        #expect(self.bucket("c", ["g"], region) == self.span("b", "g"))
        #expect(self.bucket("h", ["g"], region) == self.span("g", "p"))
        let all = self.span("", "")
        #expect(self.bucket("c", ["", "d", ""], all) == self.span("", "d"))
        #expect(self.bucket("x", ["", "d", ""], all) == self.span("d", ""))
    }

    @Test(
        arguments: [
            ("inside", ("d", "f"), ("b", "p"), ("d", "f")), ("the same", ("b", "p"), ("b", "p"), ("b", "p")),
            ("over the start", ("a", "f"), ("b", "p"), ("b", "f")),
            ("over the end", ("d", "z"), ("b", "p"), ("d", "p")),
            ("over both", ("a", "z"), ("b", "p"), ("b", "p")), ("before", ("", "a"), ("b", "p"), ("b", "p")),
            ("up to the start", ("a", "b"), ("b", "p"), ("b", "p")), ("after", ("q", "z"), ("b", "p"), ("b", "p")),
            ("from the end on", ("p", "z"), ("b", "p"), ("b", "p")),
            ("without an end", ("d", ""), ("b", "p"), ("d", "p")),
            ("without ends", ("", ""), ("b", "p"), ("b", "p")),
            ("in a region without an end", ("d", ""), ("b", ""), ("d", "")),
            ("in a region without ends", ("d", "f"), ("", ""), ("d", "f")),
        ] as [(String, (String, String), (String, String), (String, String))])
    func bucketsAreCutToTheRegion(
        name: String, bucket: (String, String), region: (String, String), cut: (String, String)
    ) {
        #expect(
            RegionBuckets.clamp(self.span(bucket.0, bucket.1), to: self.span(region.0, region.1))
                == self.span(cut.0, cut.1), "\(name)")
    }

    @Test func newerBucketsStay() throws {
        let region = try #require(
            CachedRegion(.sample(1), stores: { StoreRecord(id: $0) }, now: .now, timeToLive: .seconds(9)))
        #expect(region.bucket(of: self.bytes("k")) == nil)
        region.update(RegionBuckets(version: 4, keys: [[], self.bytes("m"), []]))
        #expect(region.bucket(of: self.bytes("k")) == self.span("", "m"))
        region.update(RegionBuckets(version: 3, keys: [[], []]))
        #expect(region.buckets?.version == 4)
        region.update(RegionBuckets(version: 5, keys: [[], self.bytes("c"), []]))
        #expect(region.bucket(of: self.bytes("k")) == self.span("c", ""))
    }

    @Test func bucketsThatAStoreListsAreTakenInAndTheRegionStays() async throws {
        let harness = PipelineHarness([.sample(1)])
        harness.on(
            "store1",
            PipelineHarness.sequence([
                PipelineHarness.regionError {
                    $0.bucketVersionNotMatch.version = 8
                    $0.bucketVersionNotMatch.keys = [Data(), Data("m".utf8), Data()]
                }, PipelineHarness.value("v"),
            ]))
        _ = try await harness.get()
        let region = try #require(harness.cache.known(containing: self.bytes("k"), now: harness.clock.now))
        #expect(region.buckets == RegionBuckets(version: 8, keys: [[], self.bytes("m"), []]))
        #expect(harness.regions.questions.filter { $0 == "region" }.count == 1)
    }

    /// A store's answer, or its refusal without the buckets themselves, names a later version than is known.
    @Test(arguments: [false, true])
    func aLaterVersionInAnAnswerLeadsToFreshBuckets(isRefusal: Bool) async throws {
        let harness = PipelineHarness([.sample(1)])
        harness.on(
            "store1",
            PipelineHarness.sequence(
                isRefusal
                    ? [
                        PipelineHarness.regionError { $0.bucketVersionNotMatch.version = 8 },
                        PipelineHarness.value("v"),
                    ]
                    : [Coprocessor_Response.with { $0.latestBucketsVersion = 8 }]))
        if isRefusal {
            _ = try await harness.get()
        } else {
            var request = Coprocessor_Request()
            request.ranges = [.with { $0.start = Data("k".utf8) }]
            var options = RequestOptions()
            options.bucketsVersion = 3
            let _: Coprocessor_Response = try await harness.sender.send(
                TikvpbTikvRPC.coprocessor, request, key: self.bytes("k"), timeout: .seconds(9), isWrite: false,
                options: options)
            let sent = try #require(harness.requests.last as? Coprocessor_Request)
            #expect(sent.context.bucketsVersion == 3)
        }
        #expect(harness.cache.isRefreshingBuckets(ofRegion: 1))
        // PD knows them, and the region goes on to be the same.
        harness.regions.change { state in
            for index in state.regions.indices {
                state.regions[index].buckets = .init(regionID: 1, version: 8, keys: [[], self.bytes("m"), []])
            }
        }
        await harness.cache.refreshBuckets(ofRegion: 1)
        let region = try #require(harness.cache.known(containing: self.bytes("k"), now: harness.clock.now))
        #expect(region.bucket(of: self.bytes("k")) == self.span("", "m"))
        #expect(harness.regions.questions.filter { $0 == "id 1" }.count == 1)
    }

    @Test func newerVersionsAreAskedForOnce() async throws {
        let harness = PipelineHarness([.sample(1)])
        harness.on("store1") { _ in PipelineHarness.value("v") }
        _ = try await harness.get()
        let region = try #require(harness.cache.known(containing: [1], now: harness.clock.now))
        region.update(RegionBuckets(version: 5, keys: [[], []]))
        // No news: as old as known, or overtaken since the request was made.
        harness.cache.noteBuckets(version: 5, sent: 5, of: region)
        harness.cache.noteBuckets(version: 9, sent: 4, of: region)
        #expect(!harness.cache.isRefreshingBuckets(ofRegion: 1))
        for _ in 0..<5 { harness.cache.noteBuckets(version: 6, sent: 5, of: region) }
        #expect(harness.cache.isRefreshingBuckets(ofRegion: 1))
        await harness.cache.refreshBuckets(ofRegion: 1)
        #expect(!harness.cache.isRefreshingBuckets(ofRegion: 1))
        #expect(harness.regions.questions.filter { $0 == "id 1" }.count == 1)
        harness.cache.noteBuckets(version: 7, sent: 6, of: region)
        #expect(harness.cache.isRefreshingBuckets(ofRegion: 1))
    }
}
