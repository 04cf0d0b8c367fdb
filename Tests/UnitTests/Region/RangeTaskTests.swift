// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVOrderedMap
import TiKVPD

@testable import TiKV

/// Work on ranges over the 27 regions between the letters.
@Suite(.timeLimit(.minutes(1))) struct RangeTaskTests {
    private static let letters = "abcdefghijklmnopqrstuvwxyz".map { [UInt8](String($0).utf8) }

    private static func regions() -> [RegionDescription] {
        (0...26).map { index in
            var region = RegionDescription.sample(UInt64(index + 1))
            region.startKey = index == 0 ? [] : Self.letters[index - 1]
            region.endKey = index == 26 ? [] : Self.letters[index]
            return region
        }
    }

    private static func span(_ start: String, _ end: String, _ suffix: [UInt8] = []) -> KeySpan {
        KeySpan(start: Array(start.utf8) + suffix, end: Array(end.utf8) + suffix)
    }

    static let spans: [KeySpan] = [
        Self.span("", ""), Self.span("", "b"), Self.span("b", ""), Self.span("b", "x"), Self.span("a", "d"),
        Self.span("a", "d", [0]), Self.span("a", "c", [0xff, 0xff, 0xff]), Self.span("a1", "a2"),
        Self.span("a", "a"), Self.span("a3", "a3"),
    ]

    /// The parts of a range that are in one region each, in order.
    private static func pieces(of span: KeySpan) -> [KeySpan] {
        guard span.end.isEmpty || KeyOrder.isLess(span.start, span.end) else { return [] }
        let cuts = Self.letters.filter {
            KeyOrder.isLess(span.start, $0) && (span.end.isEmpty || KeyOrder.isLess($0, span.end))
        }
        let bounds = [span.start] + cuts + [span.end]
        return (1..<bounds.count).map { KeySpan(start: bounds[$0 - 1], end: bounds[$0]) }
    }

    /// Several regions to a piece, the last with what is left.
    private static func grouped(_ pieces: [KeySpan], by count: Int) -> [KeySpan] {
        stride(from: 0, to: pieces.count, by: count).map { start in
            KeySpan(start: pieces[start].start, end: pieces[min(start + count, pieces.count) - 1].end)
        }
    }

    @Test(arguments: Self.spans, 1...4) func everyPieceIsDoneOnce(span: KeySpan, concurrency: Int) async {
        let harness = PipelineHarness(Self.regions())
        for count in 1...5 {
            let done = Mutex<[KeySpan]>([])
            let task = RangeTask(
                "test", sender: harness.sender, concurrency: concurrency, regionsPerPiece: count
            ) { piece in
                done.withLock { $0.append(piece) }
                return RangeTask.Outcome(statistics: .init(completed: 1))
            }
            let expected = Self.grouped(Self.pieces(of: span), by: count)
            // The same one can be used again.
            for _ in 0..<2 {
                let outcome = await task.run(span, timeout: .seconds(10))
                #expect(outcome.error == nil)
                #expect(outcome.statistics == RangeTask.Statistics(completed: expected.count))
                let pieces = done.withLock { pieces in
                    defer { pieces = [] }
                    return pieces.sorted { KeyOrder.isLess($0.start, $1.start) }
                }
                #expect(pieces == expected)
            }
        }
    }

    @Test(arguments: Self.spans, 1...4) func aFailureEndsTheRest(span: KeySpan, concurrency: Int) async {
        let harness = PipelineHarness(Self.regions())
        let pieces = Self.pieces(of: span)
        for bad in pieces {
            let task = RangeTask("test", sender: harness.sender, concurrency: concurrency, regionsPerPiece: 1) {
                piece in
                piece.start == bad.start
                    ? .init(statistics: .init(failed: 1), error: TiKVError(.serverError, "no"))
                    : .init(statistics: .init(completed: 1))
            }
            let outcome = await task.run(span, timeout: .seconds(10))
            #expect(outcome.error?.code == .serverError)
            #expect(outcome.statistics.failed == 1)
            #expect(outcome.statistics.completed < pieces.count)
        }
    }

    @Test func noMoreAreUnderWayThanMayBe() async {
        let harness = PipelineHarness(Self.regions())
        let counts = Mutex((now: 0, most: 0))
        let task = RangeTask("test", sender: harness.sender, concurrency: 3, regionsPerPiece: 1) { _ in
            counts.withLock {
                $0.now += 1
                $0.most = max($0.most, $0.now)
            }
            for _ in 0..<10 { await Task.yield() }
            counts.withLock { $0.now -= 1 }
            return .init(statistics: .init(completed: 1))
        }
        let outcome = await task.run(KeySpan(start: [], end: []), timeout: .seconds(10))
        #expect(outcome.statistics.completed == 27)
        #expect(counts.withLock { $0.most } <= 3)
    }

    @Test func regionsThatCannotBeFoundEndItInTime() async {
        let harness = PipelineHarness([])
        let task = RangeTask("test", sender: harness.sender) { _ in .init() }
        let outcome = await task.run(KeySpan(start: [], end: []), timeout: .seconds(1))
        #expect(outcome.error?.code == .regionUnavailable)
    }
}
