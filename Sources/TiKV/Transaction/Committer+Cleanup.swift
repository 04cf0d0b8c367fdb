// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import TiKVFailpoints
import TiKVOrderedMap
import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Committer {
    /// Removes what locks there may be, beside whatever the caller does next.
    ///
    /// - Parameter primaryFirst: goes on to the other keys only when the store has rolled back the primary. So it must be where
    ///   the commit of the primary was sent: were it committed after all, the others must be as well.
    func rollBackInBackground(primaryFirst: Bool = false) {
        if Failpoint.commitFailedSkipCleanup.value() != nil { return }
        let keys = self.plan.locked.map(\.key)
        guard !keys.isEmpty else { return }
        self.context.inBackground {
            var rest = keys
            if primaryFirst {
                rest.removeAll { $0 == self.plan.primary }
                guard await self.rollBack([self.plan.primary]) else { return }
            }
            _ = await self.rollBack(rest)
        }
    }

    /// - Returns: whether all of them are rolled back.
    func rollBack(_ keys: [[UInt8]]) async -> Bool {
        guard !keys.isEmpty else { return true }
        let isRefused = Flag()
        let failure = await self.forEachRegion(keys) { keys, region, call async throws(TiKVError) in
            var request = Kvrpcpb_BatchRollbackRequest()
            request.startVersion = self.start
            request.keys = keys.map { Data($0) }
            let method = TikvpbTikvRPC.kvBatchRollback
            guard let response = try await self.context.sender.deliver(method, &request, to: region, &call) else {
                return false
            }
            if response.hasError { isRefused.value.store(true, ordering: .relaxed) }
            return true
        }
        if let failure {
            self.context.logger.debug("locks left behind", metadata: ["error": "\(failure)"])
        }
        return failure == nil && !isRefused.value.load(ordering: .relaxed)
    }

    private final class Flag: Sendable {
        let value = Atomic(false)
    }

    /// Sends something about keys to their regions, side by side.
    func forEachRegion(
        _ keys: [[UInt8]],
        _ send: @escaping @Sendable ([[UInt8]], CachedRegion, inout RegionCall) async throws(TiKVError) -> Bool
    ) async -> TiKVError? {
        let sender = self.context.sender
        let limit = self.sizeLimit
        do throws(TiKVError) {
            try await sender.scatter(
                keys, timeout: Self.cleanupTimeout, isWrite: false,
                concurrency: self.context.configuration.maximumConcurrency, options: self.options.request,
                split: { keys, call async throws(TiKVError) in
                    try await sender.group(
                        keys, by: { $0 }, chunks: { RawBatch.chunks($0, bytes: limit, size: { $0.count }) }, &call)
                },
                deliver: { keys, region, call async throws(TiKVError) -> Void? in
                    try await send(keys, region, &call) ? () : nil
                },
                collect: { _ in })
            return nil
        } catch {
            return error
        }
    }
}

extension CommitPlan {
    /// The primary, and keys next to it that lie in its region, up to what one request carries.
    static func primaryBatch(
        _ keys: [[UInt8]], primary: [UInt8], start: [UInt8], end: [UInt8], bytes limit: Int = 16 << 10
    ) -> [[UInt8]] {
        var chosen = [primary]
        var size = primary.count
        for key in keys where key != primary {
            if KeyOrder.isLess(key, start) { continue }
            if !end.isEmpty, !KeyOrder.isLess(key, end) { break }
            size += key.count
            guard size <= limit else { break }
            chosen.append(key)
        }
        return chosen
    }
}
