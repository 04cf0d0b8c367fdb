// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap
import TiKVPD

@testable import TiKV

/// What is looked up of PD when its answers are of no use yet, or of none at all.
@Suite(.timeLimit(.minutes(1))) struct RegionLookupTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
    private func span(_ start: String, _ end: String) -> KeySpan { KeySpan(start: bytes(start), end: bytes(end)) }

    private func call(_ harness: PipelineHarness) -> RegionCall {
        RegionCall(deadline: Deadline(after: .seconds(10), from: harness.clock.now), isWrite: false)
    }

    private static let four: [RegionDescription] = [
        .sample(1, "", "b"), .sample(2, "b", "d"), .sample(3, "d", "f"), .sample(4, "f", ""),
    ]

    /// Bounds that no key is encoded to: a group of eight bytes without the byte that must follow it.
    @Test(arguments: ["key", "before", "id", "scan", "ranges"])
    func boundsThatAreNoKeysFailAtOnce(lookUp: String) async throws {
        let harness = PipelineHarness([.sample(1, "\u{1}", "zzzzzzzz")], codec: .v1(.transaction))
        var call = self.call(harness)
        do throws(TiKVError) {
            switch lookUp {
            case "key": _ = try await harness.sender.locate(self.bytes("k"), &call)
            case "before": _ = try await harness.sender.locate(before: self.bytes("k"), &call)
            case "id": _ = try await harness.sender.locate(id: 1, &call)
            case "scan": _ = try await harness.sender.regions(of: self.span("c", "d"), &call)
            default: _ = try await harness.sender.regions(of: [self.span("c", "d"), self.span("e", "f")], &call)
            }
            Issue.record("nothing can be found")
        } catch {
            #expect(error.code == .serverError)
            #expect("\(error)".contains("bounds are no keys"))
        }
        #expect(harness.regions.questions.count == 1)
        #expect(harness.clock.waits.isEmpty)
        #expect(await harness.cache.count == 0)
    }

    @Test func whatPDSaysOfARegionDoesNotTouchTheCache() async throws {
        let harness = PipelineHarness(Self.four)
        var call = self.call(harness)
        let known = try await harness.sender.locate(id: 2, &call)
        let newer = RegionEpoch(confVer: 1, version: 7)
        harness.regions.change { $0.regions[1].epoch = newer }
        // As the cache asks, and buckets are brought up to date: PD's word of now, whatever is known.
        let said = try await harness.cache.source.region(id: 2, deadline: call.deadline)
        #expect(said?.epoch == newer)
        #expect(await harness.cache.known(id: 2, now: harness.clock.now) === known)
        let other = try await harness.cache.source.region(id: 3, deadline: call.deadline)
        #expect(other?.id == 3)
        #expect(await harness.cache.known(id: 3, now: harness.clock.now) == nil)
        #expect(await harness.cache.count == 1)
    }

    /// PD has not heard of a region, or knows no leader of it, until it has been asked four times.
    @Test(arguments: [false, true]) func rangesWaitForWhatIsMissing(isLeaderless: Bool) async throws {
        var early = Self.four
        if isLeaderless { early[2].leader = nil } else { early.remove(at: 2) }
        let harness = PipelineHarness(early)
        let regions = harness.regions
        regions.change { state in
            state.onQuestion = {
                guard regions.questions.count == 4 else { return }
                regions.change { $0.regions = Self.four }
            }
        }
        var call = self.call(harness)
        let parts = try await harness.sender.regions(of: [self.span("a", "c"), self.span("c1", "g")], &call)
        #expect(parts.map(\.region.id) == [1, 2, 2, 3, 4])
        #expect(parts.allSatisfy { !$0.region.isLeaderGuessed })
        // What the two ranges have between them is nobody's business.
        #expect(
            parts.map(\.work) == [
                self.span("a", "b"), self.span("b", "c"), self.span("c1", "d"), self.span("d", "f"),
                self.span("f", "g"),
            ])
        #expect(harness.regions.questions.first == "batch 2")
        #expect(harness.clock.waits.first == .milliseconds(2) && harness.clock.waits.count >= 2)
        regions.change { $0.onQuestion = nil }
    }

    @Test func aRegionLivesForTenMinutesAndABit() async throws {
        let harness = PipelineHarness([.sample(1)])
        var call = self.call(harness)
        let region = try await harness.sender.locate(self.bytes("k"), &call)
        // Half of the jitter of a minute, by the harness' die.
        #expect(!region.hasExpired(at: harness.clock.now.advanced(by: .seconds(629))))
        #expect(region.hasExpired(at: harness.clock.now.advanced(by: .seconds(630))))
    }
}
