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
    ///   - items: in the order of their keys.
    ///   - size: the bytes that an item will add.
    func prepare<Item: Sendable>(
        _ items: [Item], key: (Item) -> [UInt8], size: (Item) -> Int, deadline: Deadline
    ) async {
        let configuration = self.context.configuration
        let threshold = configuration.preSplitKeyCount
        guard threshold > 0, items.count >= threshold else { return }
        let limit = Deadline(after: Self.timeout, from: self.context.clock.now)
        let end = min(limit.instant, deadline.instant)
        do throws(TiKVError) {
            let timeout = Deadline(at: end).remaining(at: self.context.clock.now)
            let groups = try await self.groups(items, by: key, timeout: timeout)
            var keys: [[UInt8]] = []
            for group in groups where group.work.count >= threshold {
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

    private func groups<Item: Sendable>(
        _ items: [Item], by key: (Item) -> [UInt8], timeout: Duration
    ) async throws(TiKVError) -> [(region: CachedRegion, work: [Item])] {
        let sender = self.context.sender
        var call = try await sender.begin(timeout: timeout, isWrite: false)
        defer { sender.lifecycle.end() }
        return try await sender.group(items, by: key, chunks: { [Array($0)] }, &call)
    }

    /// The keys at which a new region begins when so many bytes lie before it.
    static func splitKeys<Item>(
        _ items: [Item], key: (Item) -> [UInt8], size: (Item) -> Int, every limit: Int
    ) -> [[UInt8]] {
        var keys: [[UInt8]] = []
        var bytes = 0
        for item in items {
            bytes += size(item)
            if bytes >= limit {
                keys.append(key(item))
                bytes = 0
            }
        }
        return keys
    }
}
