// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

extension RegionRequestSender {
    /// A part of the work that one region can do.
    private struct Piece<Work: Sendable>: Sendable {
        let region: CachedRegion
        let work: Work
        var call: RegionCall
    }

    private enum PieceEnd<Work: Sendable, Output: Sendable>: Sendable {
        case done(Output)
        /// The region isn't what it was: split this part again.
        case moved(Piece<Work>)
        case failed(TiKVError)
    }

    /// Does work that concerns many keys: splits it by region, sends the pieces side by side, and splits again what met a
    /// region that has changed. All of it under one deadline. The first failure cancels the rest.
    ///
    /// - Parameters:
    ///   - isRepeatable: as for `send`.
    ///   - concurrency: how many pieces may be under way at once.
    ///   - split: cuts work into pieces, each for one region and small enough for one request.
    ///   - deliver: sends one piece; nil where it must be split again.
    ///   - collect: takes the results, in any order.
    func scatter<Work: Sendable, Output: Sendable>(
        _ work: Work, timeout: Duration, isWrite: Bool, isRepeatable: Bool = true, concurrency: Int,
        options: RequestOptions = .init(),
        split: (Work, inout RegionCall) async throws(TiKVError) -> [(region: CachedRegion, work: Work)],
        deliver: @escaping @Sendable (Work, CachedRegion, inout RegionCall) async throws(TiKVError) -> Output?,
        collect: (Output) -> Void
    ) async throws(TiKVError) {
        var call = try await self.begin(
            timeout: timeout, isWrite: isWrite, isRepeatable: isRepeatable, options: options)
        defer { self.lifecycle.end() }
        var queue: [Piece<Work>] = []
        do throws(TiKVError) {
            var rest = work
            while true {
                let parts = try await split(rest, &call)
                guard parts.count == 1, let only = parts.first else {
                    queue = parts.reversed().map { Piece(region: $0.region, work: $0.work, call: call) }
                    break
                }
                // One piece needs no group.
                if let output = try await deliver(only.work, only.region, &call) {
                    collect(output)
                    return
                }
                rest = only.work
            }
        } catch {
            throw call.final(error)
        }

        var failure: TiKVError?
        // Whether some of a write may have happened although the whole of it failed.
        var hasEffect = false
        await withTaskGroup(of: PieceEnd<Work, Output>.self) { group in
            var running = 0
            while true {
                while failure == nil, running < max(1, concurrency), let piece = queue.popLast() {
                    running += 1
                    group.addTask { await self.end(of: piece, deliver) }
                }
                guard running > 0, let end = await group.next() else { break }
                running -= 1
                switch end {
                case .done(let output):
                    hasEffect = true
                    collect(output)
                case .failed(let error):
                    if error.isOutcomeUnknown { hasEffect = true }
                    if failure == nil { failure = error }
                    group.cancelAll()
                case .moved(var piece):
                    guard failure == nil else {
                        if piece.call.isOutcomeUnknown { hasEffect = true }
                        continue
                    }
                    do throws(TiKVError) {
                        let parts = try await split(piece.work, &piece.call)
                        queue += parts.map { Piece(region: $0.region, work: $0.work, call: piece.call) }
                    } catch {
                        let error = piece.call.final(error)
                        if error.isOutcomeUnknown { hasEffect = true }
                        failure = error
                        group.cancelAll()
                    }
                }
            }
        }
        guard let failure else { return }
        if queue.contains(where: { $0.call.isOutcomeUnknown }) { hasEffect = true }
        throw isWrite && hasEffect && !failure.isOutcomeUnknown ? failure.withPartialEffect() : failure
    }

    private func end<Work: Sendable, Output: Sendable>(
        of piece: Piece<Work>,
        _ deliver: @Sendable (Work, CachedRegion, inout RegionCall) async throws(TiKVError) -> Output?
    ) async -> PieceEnd<Work, Output> {
        var piece = piece
        do throws(TiKVError) {
            if let output = try await deliver(piece.work, piece.region, &piece.call) { return .done(output) }
            return .moved(piece)
        } catch {
            return .failed(piece.call.final(error))
        }
    }
}
