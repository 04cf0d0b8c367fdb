// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVOrderedMap
import TiKVPD

@testable import TiKV

/// What becomes of the rest of a range once a piece has failed.
@Suite(.timeLimit(.minutes(1))) struct RangeTaskEndTests {
    /// Ten regions of a byte each.
    private static let regions: [RegionDescription] = (0..<10).map { index in
        var region = RegionDescription.sample(UInt64(index + 1))
        region.startKey = index == 0 ? [] : [UInt8(index)]
        region.endKey = index == 9 ? [] : [UInt8(index + 1)]
        return region
    }

    @Test(arguments: 1...4) func aFailureCancelsWhatIsUnderWayAndBeginsNoMore(concurrency: Int) async {
        let harness = PipelineHarness(Self.regions)
        let begun = Mutex(0)
        let task = RangeTask("test", sender: harness.sender, concurrency: concurrency, regionsPerPiece: 1) { piece in
            begun.withLock { $0 += 1 }
            if piece.start.isEmpty {
                while begun.withLock({ $0 }) < concurrency { await Task.yield() }
                return .init(statistics: .init(failed: 1), error: TiKVError(.serverError, "no"))
            }
            // Until it is cancelled, or else for ever.
            while !Task.isCancelled { await Task.yield() }
            return .init(error: TiKVError(.cancelled, "cancelled"))
        }
        let outcome = await task.run(KeySpan(start: [], end: []), timeout: .seconds(10))
        #expect(outcome.error?.code == .serverError)
        #expect(outcome.statistics == .init(completed: 0, failed: 1))
        #expect(begun.withLock { $0 } == concurrency)
    }
}
