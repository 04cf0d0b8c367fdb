// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVOrderedMap
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// How regions come into the cache.
@Suite(.timeLimit(.minutes(1))) struct RegionLoadingTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
    private func span(_ start: String, _ end: String) -> KeySpan { KeySpan(start: bytes(start), end: bytes(end)) }

    private func call(_ harness: PipelineHarness, _ timeout: Duration = .seconds(10)) -> RegionCall {
        RegionCall(deadline: Deadline(after: timeout, from: harness.clock.now), isWrite: false)
    }

    private func locate(_ harness: PipelineHarness, _ key: String) async throws(TiKVError) -> CachedRegion {
        var call = self.call(harness)
        return try await harness.sender.locate(self.bytes(key), &call)
    }

    private func deadline(_ harness: PipelineHarness) -> Deadline {
        Deadline(after: .seconds(10), from: harness.clock.now)
    }

    /// Between the letters.
    private static func regions(_ count: Int, version: UInt64 = 1) -> [RegionDescription] {
        let letters = "abcdefghijklmnopqrstuvwxyz".prefix(count - 1).map { String($0) }
        return (0..<count).map { index in
            .sample(
                UInt64(index + 1), index == 0 ? "" : letters[index - 1], index == count - 1 ? "" : letters[index],
                epoch: RegionEpoch(confVer: 1, version: version))
        }
    }

    // MARK: - One region

    @Test func anExpiredRegionIsStillUsedByWhoHasIt() async throws {
        let harness = PipelineHarness([.sample(1)], configuration: .init(timeToLive: .zero, timeToLiveJitter: .zero))
        let region = CachedRegion(
            .sample(1), stores: { harness.stores.record($0) }, now: harness.clock.now, timeToLive: .zero)
        #expect(region?.use(at: harness.clock.now) == false)
        #expect(region?.leader.storeID == 1)
        #expect(region?.invalidation == nil)
    }

    @Test func aRegionWithoutALeaderIsAskedForAgain() async throws {
        let harness = PipelineHarness([.sample(1, leader: nil)])
        let regions = harness.regions
        regions.change { state in
            state.onQuestion = {
                guard regions.questions.count == 3 else { return }
                regions.change { $0.regions = [.sample(1, leader: 2)] }
            }
        }
        let region = try await self.locate(harness, "k")
        #expect(region.leader.storeID == 2 && !region.isLeaderGuessed)
        #expect(harness.clock.waits == [.milliseconds(2), .milliseconds(4), .milliseconds(8)])
        regions.change { $0.onQuestion = nil }
    }

    @Test func aRegionThatNeverHasALeaderIsSaidSo() async throws {
        let harness = PipelineHarness([.sample(1, leader: nil)])
        do throws(TiKVError) {
            _ = try await harness.get(timeout: .seconds(1))
            Issue.record("there is nobody to answer")
        } catch {
            #expect(error.code == .regionUnavailable)
            #expect(error.message.contains("no leader of region 1"))
        }
        #expect(await harness.cache.count == 0)
    }

    @Test func regionsWithoutALeaderAreLeftOutOfRanges() async throws {
        var regions = Self.regions(4)
        regions[2].leader = nil
        let harness = PipelineHarness(regions)
        try await harness.cache.load(span: self.span("", ""), deadline: self.deadline(harness))
        #expect(await harness.cache.count == 3)
        #expect(harness.cache.known(containing: self.bytes("bb"), now: harness.clock.now) == nil)
    }

    @Test func aLateAnswerOfAFollowerIsAskedOfTheLeader() async throws {
        let epoch = RegionEpoch(confVer: 1, version: 2)
        let halves: [RegionDescription] = [.sample(2, "", "m", epoch: epoch), .sample(1, "m", "", epoch: epoch)]
        let harness = PipelineHarness(halves)
        harness.regions.change { $0.late = [.sample(1)] }
        // One half is known, so that the follower's answer shows to be late.
        await harness.cache.install([halves[1]])
        let left = try await self.locate(harness, "a")
        #expect(left.id == 2 && left.epoch == epoch)
        #expect(harness.regions.questions == ["region", "region"])
        #expect(harness.clock.waits.isEmpty)
    }

    @Test func aFollowerThatKnowsNoLeaderIsNotBelieved() async throws {
        let harness = PipelineHarness([.sample(1)])
        harness.regions.change { $0.late = [.sample(1, leader: nil)] }
        #expect(try await self.locate(harness, "a").leader.storeID == 1)
        #expect(harness.regions.questions.count == 2 && harness.clock.waits.isEmpty)
    }

    @Test func anAnswerThatComesTooLateDoesNotBringTheOldRegionBack() async throws {
        let epoch = RegionEpoch(confVer: 1, version: 2)
        let halves: [RegionDescription] = [.sample(2, "", "m", epoch: epoch), .sample(1, "m", "", epoch: epoch)]
        let harness = PipelineHarness(halves)
        await harness.cache.install(halves)
        #expect(await harness.cache.install([.sample(1)]) == 0)
        #expect(try await self.locate(harness, "a").id == 2)
        #expect(try await self.locate(harness, "z").id == 1)
        #expect(harness.regions.questions.isEmpty)
    }

    @Test(arguments: [false, true]) func aRegionMarkedForReloadIsLoadedByTheNextUse(isDelayed: Bool) async throws {
        let harness = PipelineHarness([.sample(1)])
        let old = try await self.locate(harness, "z")
        let epoch = RegionEpoch(confVer: 1, version: 2)
        harness.regions.change { $0.regions = [.sample(2, "", "m", epoch: epoch), .sample(1, "m", "", epoch: epoch)] }
        if isDelayed {
            old.reloadLater()
            #expect(try await self.locate(harness, "z") === old)
            await harness.cache.collect()
        } else {
            old.reloadOnAccess()
        }
        #expect(try await self.locate(harness, "a").id == 2)
        #expect(try await self.locate(harness, "z").epoch == epoch)
    }

    @Test func aRegionThatShouldBeReloadedWillDoWhilePDIsAway() async throws {
        let harness = PipelineHarness([.sample(1)])
        let old = try await self.locate(harness, "z")
        old.reloadOnAccess()
        harness.regions.change { $0.failure = PDError(.unreachable, "away") }
        #expect(try await self.locate(harness, "z") === old)
        var call = self.call(harness)
        #expect(try await harness.sender.locate(before: self.bytes("z"), &call) === old)
    }

    @Test func whileAPDThatSaysNothingIsWaitedForWhatWillDoIsUsed() async throws {
        let harness = PipelineHarness([.sample(1)])
        let old = try await self.locate(harness, "z")
        harness.regions.change { state in state.silence = { [clock = harness.clock] in clock.advance(to: $0.instant) } }
        for way in 0..<4 {
            old.reloadOnAccess()
            let start = harness.clock.now
            let questions = harness.regions.questions.count
            for _ in 0..<3 {
                var call = self.call(harness)
                let found: CachedRegion
                switch way {
                case 0: found = try await harness.sender.locate(self.bytes("z"), &call)
                case 1: found = try await harness.sender.locate(before: self.bytes("z"), &call)
                case 2: found = try await harness.sender.locate(id: 1, &call)
                default: found = try await harness.sender.locate(startOf: self.span("b", "x"), &call)
                }
                #expect(found === old)
                await harness.cache.collect()
            }
            // One question, and not all of the call's time; then it is left at that for a while.
            #expect(start.duration(to: harness.clock.now) == .seconds(2))
            #expect(harness.regions.questions.count == questions + 1)
        }
        harness.clock.advance(by: .seconds(CachedRegion.reloadPauseSeconds))
        await harness.cache.collect()
        #expect(old.needsReload)
    }

    @Test func manyRangesThatWillDoAreNotWaitedForEither() async throws {
        let harness = PipelineHarness(Self.regions(3))
        var call = self.call(harness)
        let spans = [self.span("", "a"), self.span("a", "b"), self.span("b", "")]
        let before = try await harness.sender.regions(of: spans, &call)
        for piece in before { piece.region.reloadOnAccess() }
        harness.regions.change { $0.failure = PDError(.unreachable, "away") }
        let after = try await harness.sender.regions(of: spans, &call)
        #expect(after.map(\.region.id) == [1, 2, 3])
    }

    @Test func whatPDRefusesFailsAtOnce() async throws {
        let harness = PipelineHarness([.sample(1)])
        harness.regions.change { $0.failure = PDError(.server, "no") }
        for kind in 0..<3 {
            var call = self.call(harness)
            do throws(TiKVError) {
                switch kind {
                case 0: _ = try await harness.sender.locate(self.bytes("k"), &call)
                case 1: _ = try await harness.sender.locate(id: 1, &call)
                default: _ = try await harness.sender.locate(startOf: self.span("a", "z"), &call)
                }
                Issue.record("nothing can be found")
            } catch {
                #expect(error.code == .serverError)
            }
        }
        #expect(harness.clock.waits.isEmpty)
    }

    @Test func aRegionByItsIDIsKnownOrAskedFor() async throws {
        let harness = PipelineHarness(Self.regions(3))
        var call = self.call(harness)
        let region = try await harness.sender.locate(id: 2, &call)
        #expect(region.startKey == self.bytes("a"))
        #expect(try await harness.sender.locate(id: 2, &call) === region)
        #expect(harness.regions.questions == ["id 2"])
    }

    @Test func aHintOutsideTheRegionIsFollowedOncePDKnows() async throws {
        let harness = PipelineHarness([.sample(1, stores: [1, 2])])
        harness.on("store1") { _ in
            PipelineHarness.regionError {
                $0.notLeader.leader.id = 13
                $0.notLeader.leader.storeID = 3
            }
        }
        harness.on("store3") { _ in PipelineHarness.value("v") }
        let regions = harness.regions
        regions.change { state in
            state.onQuestion = {
                guard regions.questions.filter({ $0 == "region" }).count == 3 else { return }
                regions.change { $0.regions = [.sample(1, epoch: RegionEpoch(confVer: 2, version: 1))] }
            }
        }
        #expect(try await harness.get() == PipelineHarness.value("v"))
        // PD names the old leader at first, and then a region in which the hint makes sense.
        #expect(harness.hosts.last == "store3")
        #expect(harness.hosts.dropLast().allSatisfy { $0 == "store1" })
        regions.change { $0.onQuestion = nil }
    }

    @Test func aLeaderOnAStoreThatIsGoneIsFoundElsewhere() async throws {
        let harness = PipelineHarness([.sample(1, leader: 2)])
        harness.on("store2") { _ in PipelineHarness.value("2") }
        #expect(try await harness.get() == PipelineHarness.value("2"))
        // The leader's store is removed, and PD has the leader that was elected.
        harness.on("store2", nil)
        harness.on("store3") { _ in PipelineHarness.value("3") }
        harness.on("store1") { _ in
            PipelineHarness.regionError {
                $0.notLeader.leader.id = 13
                $0.notLeader.leader.storeID = 3
            }
        }
        harness.regions.change { state in
            state.stores[2]?.state = .tombstone
            state.regions = [.sample(1, epoch: RegionEpoch(confVer: 2, version: 1), leader: 3, stores: [1, 3])]
        }
        #expect(try await harness.get() == PipelineHarness.value("3"))
    }

    // MARK: - Many regions

    @Test func rangesComeInBatches() async throws {
        let harness = PipelineHarness(Self.regions(10), configuration: .init(loadBatchSize: 4))
        let next = try await harness.cache.load(span: self.span("", ""), deadline: self.deadline(harness))
        #expect(next == self.bytes("d"))
        #expect(await harness.cache.count == 4)
        // A start within a region brings that region.
        let last = try await harness.cache.load(span: self.span("hh", ""), deadline: self.deadline(harness))
        #expect(last == nil)
        #expect(await harness.cache.count == 6)
        let within = try await harness.cache.load(span: self.span("dd", "e"), deadline: self.deadline(harness))
        #expect(within == nil)
        #expect(await harness.cache.count == 7)
    }

    @Test func everythingCanBeLoadedBeforehand() async throws {
        let harness = PipelineHarness(Self.regions(27), configuration: .init(loadBatchSize: 5))
        #expect(try await harness.cache.preload(self.span("", ""), deadline: self.deadline(harness)) == 27)
        #expect(harness.regions.questions == Array(repeating: "scan", count: 6))
        // Again, after a change.
        harness.regions.change { $0.regions = Self.regions(5, version: 3) }
        #expect(try await harness.cache.preload(self.span("", ""), deadline: self.deadline(harness)) == 5)
        let run = harness.cache.known(from: self.bytes("bb"), to: self.bytes("c"), now: harness.clock.now)
        #expect(run.map(\.id) == [3])
        // The region that starts at the end belongs to a range that ends beyond it only.
        #expect(harness.cache.known(from: [], to: self.bytes("b"), now: harness.clock.now).map(\.id) == [1, 2])
    }

    @Test func manyRangesAreAskedForTogether() async throws {
        let harness = PipelineHarness(Self.regions(27))
        await harness.cache.install([Self.regions(27)[3]])
        var call = self.call(harness)
        let parts = try await harness.sender.regions(
            of: [self.span("a1", "c"), self.span("c", "d5"), self.span("k", "k"), self.span("x", "")], &call)
        #expect(parts.map(\.region.id) == [2, 3, 4, 5, 25, 26, 27])
        #expect(
            parts.map(\.work) == [
                self.span("a1", "b"), self.span("b", "c"), self.span("c", "d"), self.span("d", "d5"),
                self.span("x", "y"), self.span("y", "z"), self.span("z", ""),
            ])
        #expect(harness.regions.questions == ["batch 3"])
        // All of it is known by now.
        _ = try await harness.sender.regions(of: [self.span("a1", "d5"), self.span("x", "")], &call)
        #expect(harness.regions.questions.count == 1)
    }

    @Test func soManyRangesGoInSeveralQuestions() async throws {
        let harness = PipelineHarness([.sample(1)], configuration: .init(loadBatchSize: 1_000_000))
        let spans = (0..<5000).map { number -> KeySpan in
            let start = [UInt8(number >> 8), UInt8(number & 255), 0]
            return KeySpan(start: start, end: start + [1])
        }
        try await harness.cache.load(spans: spans, deadline: self.deadline(harness))
        #expect(harness.regions.questions == ["batch 2048", "batch 2048", "batch 904"])
    }

    @Test func whatIsLeftOfRanges() {
        let spans = [self.span("b", "d"), self.span("e", "g"), self.span("k", "")]
        func rest(_ key: String) -> [KeySpan] { KeySpan.rest(of: spans, after: self.bytes(key)) }
        #expect(rest("a") == spans)
        #expect(rest("b") == spans)
        #expect(rest("c") == [self.span("c", "d"), spans[1], spans[2]])
        #expect(rest("d") == [spans[1], spans[2]])
        #expect(rest("f") == [self.span("f", "g"), spans[2]])
        #expect(rest("z") == [self.span("z", "")])
        // The end of all keys.
        #expect(rest("").isEmpty)
    }

    @Test func gapsInAnAnswer() {
        func gaps(_ spans: [(String, String)], _ regions: [(String, String)], limit: Int = 100) -> Bool {
            KeySpan.hasGaps(
                spans.map { self.span($0.0, $0.1) }, in: regions.map { self.span($0.0, $0.1) }, limit: limit)
        }
        #expect(!gaps([("", "")], [("", "b"), ("b", "")]))
        #expect(gaps([("", "")], [("b", "")]))
        #expect(gaps([("", "")], [("", "b"), ("c", "")]))
        #expect(gaps([("", "")], [("", "b"), ("b", "c")]))
        #expect(gaps([("", "")], []))
        #expect(!gaps([("b", "d")], [("a", "c"), ("c", "e")]))
        #expect(gaps([("b", "d")], [("c", "e")]))
        #expect(gaps([("b", "d")], [("a", "c")]))
        #expect(!gaps([("b", "c"), ("f", "g")], [("a", "c"), ("f", "h")]))
        #expect(gaps([("b", "c"), ("f", "g")], [("a", "c")]))
        // As many as were asked for: there may be more.
        #expect(!gaps([("", "")], [("", "b"), ("b", "c")], limit: 2))
    }

    @Test func concurrentLoadsAndChangesKeepInOrder() async throws {
        let harness = PipelineHarness(Self.regions(27), jumps: false)
        let cache = harness.cache
        let deadline = self.deadline(harness)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<8 {
                group.addTask {
                    for round in 0..<50 {
                        switch (worker + round) % 4 {
                        case 0: _ = try await cache.preload(KeySpan(start: [], end: []), deadline: deadline)
                        case 1: _ = try await cache.load(id: UInt64(round % 27 + 1), deadline: deadline)
                        case 2:
                            let key = [UInt8(ascii: "a") + UInt8(round % 26)]
                            if let region = cache.known(containing: key, now: .now) { cache.invalidate(region) }
                        default: await cache.collect()
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await cache.preload(KeySpan(start: [], end: []), deadline: deadline) == 27)
    }

    @Test(arguments: 0..<5) func whatIsBelievedStaysWhatIsNotIsReplaced(kind: Int) async throws {
        let harness = PipelineHarness(Self.regions(3))
        _ = try await harness.cache.preload(self.span("", ""), deadline: self.deadline(harness))
        let now = harness.clock.now
        func load() async throws -> CachedRegion {
            var call = self.call(harness)
            switch kind {
            case 0: return try await harness.sender.locate(self.bytes("aa"), &call)
            case 1: return try await harness.sender.locate(before: self.bytes("b"), &call)
            case 2: return try await harness.sender.locate(id: 2, &call)
            case 3: return try await harness.sender.locate(startOf: self.span("aa", "z"), &call)
            default: return try await harness.sender.regions(of: self.span("aa", "b"), &call)[0].region
            }
        }
        let known = try #require(harness.cache.known(containing: self.bytes("aa"), now: now))
        #expect(try await load() === known)
        harness.cache.invalidate(known)
        let next = try await load()
        #expect(next !== known && next.id == 2)
        #expect(harness.cache.known(containing: self.bytes("aa"), now: now) === next)
    }

    @Test func moreThanMayBeKeptPushesOutWhatWasNotUsed() async throws {
        let harness = PipelineHarness(Self.regions(27), configuration: .init(maximumCount: 10))
        _ = try await harness.cache.preload(self.span("", ""), deadline: self.deadline(harness))
        #expect(await harness.cache.count == 10)
    }
}
