// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import TiKVOrderedMap
import TiKVPD

/// Work on all keys of a range, a few regions at a time and several of these pieces side by side.
///
/// The pieces follow the regions as they are when their turn comes; a region that splits meanwhile makes a piece of more
/// regions than meant, which its work has to cope with anyway.
struct RangeTask: Sendable {
    /// What became of the regions.
    struct Statistics: Sendable, Hashable {
        var completed = 0
        var failed = 0
    }

    /// What the work on one piece was: so many regions, and where it failed, why.
    struct Outcome: Sendable {
        var statistics = Statistics()
        var error: TiKVError?
    }

    private let sender: RegionRequestSender
    /// For logs.
    private let name: String
    private let concurrency: Int
    private let regionsPerPiece: Int
    private let work: @Sendable (KeySpan) async -> Outcome

    /// - Parameters:
    ///   - concurrency: how many pieces may be under way at once.
    ///   - regionsPerPiece: how many regions make a piece; 128 where nothing else is known.
    ///   - work: does one piece. An error in its outcome ends the whole: no more pieces begin, and those under way are
    ///     cancelled.
    init(
        _ name: String, sender: RegionRequestSender, concurrency: Int = 1, regionsPerPiece: Int = 128,
        work: @escaping @Sendable (KeySpan) async -> Outcome
    ) {
        self.name = name
        self.sender = sender
        self.concurrency = max(1, concurrency)
        self.regionsPerPiece = max(1, regionsPerPiece)
        self.work = work
    }

    /// Works on a range. Can be called more than once.
    ///
    /// - Parameter timeout: for finding the regions of each piece; the work has its own.
    /// - Returns: what was done, and the first error. What was cancelled for it counts as neither.
    func run(_ span: KeySpan, timeout: Duration) async -> Outcome {
        var total = Outcome()
        guard span.end.isEmpty || KeyOrder.isLess(span.start, span.end) else { return total }
        await withTaskGroup(of: Outcome.self) { group in
            var rest: KeySpan? = span
            var running = 0
            while true {
                while total.error == nil, running < self.concurrency, let next = rest {
                    let piece: KeySpan
                    do throws(TiKVError) {
                        piece = try await self.piece(of: next, timeout: timeout)
                    } catch {
                        total.error = error
                        break
                    }
                    rest = piece.end == next.end ? nil : KeySpan(start: piece.end, end: next.end)
                    running += 1
                    group.addTask { await self.work(piece) }
                }
                if total.error != nil { group.cancelAll() }
                guard running > 0, let outcome = await group.next() else { break }
                running -= 1
                total.statistics.completed += outcome.statistics.completed
                guard let error = outcome.error else { continue }
                if total.error == nil {
                    total.error = error
                    total.statistics.failed += outcome.statistics.failed
                }
            }
        }
        self.sender.logger.log(
            .debug, "a range task ended",
            [.call: self.name, .completed: total.statistics.completed, .failed: total.statistics.failed])
        return total
    }

    /// The part of a range that its first regions hold.
    private func piece(of span: KeySpan, timeout: Duration) async throws(TiKVError) -> KeySpan {
        var call = try await self.sender.begin(timeout: timeout, isWrite: false)
        defer { self.sender.lifecycle.end() }
        var end = span.start
        for _ in 0..<self.regionsPerPiece {
            let region = try await self.sender.locate(startOf: KeySpan(start: end, end: span.end), &call)
            end = region.endKey
            if end.isEmpty || !span.end.isEmpty && KeyOrder.compare(span.end, end) <= 0 { return span }
        }
        return KeySpan(start: span.start, end: end)
    }
}
