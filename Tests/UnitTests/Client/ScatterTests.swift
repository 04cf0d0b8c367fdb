// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVOrderedMap
import TiKVPD

@testable import TiKV

/// Work on many regions: split, sent side by side, split again, and put together.
@Suite(.timeLimit(.minutes(1))) struct ScatterTests {
    private static let regions: [RegionDescription] = [
        .sample(1, "", "b"), .sample(2, "b", "d"), .sample(3, "d", "f"), .sample(4, "f", ""),
    ]

    /// What the regions were asked, and how many of them at once.
    private final class Log: Sendable {
        private let state = Mutex((running: 0, most: 0, pieces: [] as [String]))

        var most: Int { self.state.withLock { $0.most } }
        var pieces: [String] { self.state.withLock { $0.pieces.sorted() } }

        func begin(_ piece: String) {
            self.state.withLock {
                $0.running += 1
                $0.most = max($0.most, $0.running)
                $0.pieces.append(piece)
            }
        }

        func end() { self.state.withLock { $0.running -= 1 } }
    }

    private func run(
        _ harness: PipelineHarness, _ keys: String, isWrite: Bool = false, concurrency: Int = 16,
        deliver: @escaping @Sendable ([UInt8], CachedRegion, inout RegionCall) async throws(TiKVError) -> [UInt8]?
    ) async throws(TiKVError) -> String {
        var collected: [UInt8] = []
        let sender = harness.sender
        try await sender.scatter(
            Array(keys.utf8), timeout: .seconds(20), isWrite: isWrite, concurrency: concurrency,
            split: { keys, call async throws(TiKVError) in
                try await sender.group(keys, by: { [$0] }, chunks: { RawBatch.chunks($0, count: 2) }, &call)
            },
            deliver: deliver,
            collect: { collected += $0 })
        return String(decoding: collected.sorted(), as: UTF8.self)
    }

    @Test func itemsGoToTheirRegionsInPieces() async throws {
        let harness = PipelineHarness(Self.regions)
        let log = Log()
        let result = try await self.run(harness, "abcdefghi") { keys, region, _ in
            log.begin("\(region.id):\(String(decoding: keys, as: UTF8.self))")
            return keys
        }
        #expect(result == "abcdefghi")
        #expect(log.pieces == ["1:a", "2:bc", "3:de", "4:fg", "4:hi"])
        // All regions came with one question.
        #expect(harness.regions.questions == ["scan"])
    }

    @Test func noMoreThanAllowedAreUnderWayAtOnce() async throws {
        let harness = PipelineHarness(Self.regions)
        let log = Log()
        _ = try await self.run(harness, "abcdefghi", concurrency: 2) { keys, _, _ in
            log.begin("")
            await Task.yield()
            log.end()
            return keys
        }
        #expect(log.most <= 2)
        #expect(log.pieces.count == 5)
    }

    @Test func whatMetAChangedRegionIsSplitAgain() async throws {
        let harness = PipelineHarness(Self.regions)
        let cache = harness.cache
        let result = try await self.run(harness, "abcdefghi") { keys, region, _ in
            guard region.id == 4, region.epoch.version == 1 else { return keys }
            await cache.install([
                .sample(5, "f", "h", epoch: RegionEpoch(confVer: 1, version: 2)),
                .sample(4, "h", "", epoch: RegionEpoch(confVer: 1, version: 2)),
            ])
            return nil
        }
        #expect(result == "abcdefghi")
    }

    @Test func onePieceThatMustBeSplitAgainIsToo() async throws {
        let harness = PipelineHarness([.sample(1)])
        let cache = harness.cache
        let result = try await self.run(harness, "az") { keys, region, _ in
            guard region.epoch.version == 1 else { return keys }
            await cache.install([
                .sample(2, "", "m", epoch: RegionEpoch(confVer: 1, version: 2)),
                .sample(1, "m", "", epoch: RegionEpoch(confVer: 1, version: 2)),
            ])
            return nil
        }
        #expect(result == "az")
    }

    private func failure(isWrite: Bool, siblingsSucceed: Bool, isUnknown: Bool = false) async -> TiKVError? {
        let harness = PipelineHarness(Self.regions)
        do throws(TiKVError) {
            // One at a time, the last region first: what comes after the failure is never begun.
            _ = try await self.run(harness, "ace", isWrite: isWrite, concurrency: 1) {
                keys, region, call throws(TiKVError) in
                if siblingsSucceed, region.id != 3 { return keys }
                call.isOutcomeUnknown = isUnknown
                throw TiKVError(.entryTooLarge, "too large")
            }
            return nil
        } catch {
            return error
        }
    }

    @Test func theFirstFailureIsTheCalls() async {
        #expect(await self.failure(isWrite: false, siblingsSucceed: true)?.code == .entryTooLarge)
        #expect(await self.failure(isWrite: false, siblingsSucceed: true)?.isOutcomeUnknown == false)
        #expect(await self.failure(isWrite: true, siblingsSucceed: false)?.isOutcomeUnknown == false)
    }

    @Test func aWriteOfWhichPartsAreDoneSaysSo() async {
        let error = await self.failure(isWrite: true, siblingsSucceed: true)
        #expect(error?.code == .entryTooLarge)
        #expect(error?.isOutcomeUnknown == true)
        #expect(await self.failure(isWrite: true, siblingsSucceed: false, isUnknown: true)?.code == .undetermined)
    }

    @Test func spansAreCutAtTheBoundsOfRegions() async throws {
        let harness = PipelineHarness(Self.regions)
        var call = RegionCall(deadline: Deadline(after: .seconds(1), from: harness.clock.now), isWrite: true)
        func parts(_ start: String, _ end: String) async throws -> [String] {
            try await harness.sender.regions(of: KeySpan(start: Array(start.utf8), end: Array(end.utf8)), &call).map {
                "\($0.region.id):\(String(decoding: $0.work.start, as: UTF8.self))-\(String(decoding: $0.work.end, as: UTF8.self))"
            }
        }
        #expect(try await parts("", "") == ["1:-b", "2:b-d", "3:d-f", "4:f-"])
        #expect(try await parts("a", "c") == ["1:a-b", "2:b-c"])
        #expect(try await parts("b", "d") == ["2:b-d"])
        #expect(try await parts("x", "") == ["4:x-"])
    }

    @Test func theEndOfAllKeysIsFoundFromBehind() async throws {
        let harness = PipelineHarness(Self.regions)
        var call = RegionCall(deadline: Deadline(after: .seconds(1), from: harness.clock.now), isWrite: false)
        #expect(try await harness.sender.locate(before: [], &call).id == 4)
        #expect(try await harness.sender.locate(before: Array("d".utf8), &call).id == 2)
        #expect(harness.regions.questions == ["region", "region", "previous"])
        #expect(try await harness.sender.locate(before: Array("c".utf8), &call).id == 2)
        #expect(try await harness.sender.locate(before: Array("e".utf8), &call).id == 3)
        #expect(harness.regions.questions.count == 3)
    }
}
