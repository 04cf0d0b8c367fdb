// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import TiKVOrderedMap
import TiKVPD

/// Splits regions before a large transaction writes to them, so that one store has not to take all of it.
struct PreSplitter: Sendable {
    /// How long splitting and spreading may take; a transaction goes on without where it takes longer.
    static let timeout = Duration.seconds(20)

    let context: TransactionContext

    /// Splits the regions in which many of the keys lie. What goes wrong is no reason not to write.
    ///
    /// - Parameters:
    ///   - count: how many keys there are.
    ///   - key: the key at a place; they are in order.
    ///   - size: the bytes that the key at a place will add.
    func prepare(
        count: Int, key: (Int) -> [UInt8], size: (Int) -> Int, deadline: Deadline
    ) async {
        let configuration = self.context.configuration
        let threshold = configuration.preSplitKeyCount
        guard threshold > 0, count >= threshold else { return }
        let limit = Deadline(after: Self.timeout, from: self.context.clock.now)
        let end = min(limit.instant, deadline.instant)
        do throws(TiKVError) {
            let timeout = Deadline(at: end).remaining(at: self.context.clock.now)
            var keys: [[UInt8]] = []
            for group in try await self.groups(count, key, timeout: timeout) where group.work.count >= threshold {
                keys += Self.splitKeys(group.work, key: key, size: size, every: configuration.preSplitSize)
            }
            guard !keys.isEmpty else { return }
            let splitter = self.context.core.splitter(isRaw: false)
            let ids = try await splitter.split(
                at: keys, scatter: "swift-transaction",
                timeout: Deadline(at: end).remaining(at: self.context.clock.now))
            try await splitter.waitUntilScattered(
                ids, timeout: Deadline(at: end).remaining(at: self.context.clock.now))
        } catch {
            self.context.logger.debug("regions not split before a large transaction", metadata: ["error": "\(error)"])
        }
    }

    private func groups(
        _ count: Int, _ key: (Int) -> [UInt8], timeout: Duration
    ) async throws(TiKVError) -> [(region: CachedRegion, work: Range<Int>)] {
        let sender = self.context.sender
        var call = try await sender.begin(timeout: timeout, isWrite: false)
        defer { sender.lifecycle.end() }
        return try await sender.group(0..<count, key: key, &call)
    }

    /// The keys at which a new region begins when so many bytes lie before it.
    static func splitKeys(
        _ places: Range<Int>, key: (Int) -> [UInt8], size: (Int) -> Int, every limit: Int
    ) -> [[UInt8]] {
        var keys: [[UInt8]] = []
        var bytes = 0
        for place in places {
            bytes += size(place)
            if bytes >= limit {
                keys.append(key(place))
                bytes = 0
            }
        }
        return keys
    }
}
