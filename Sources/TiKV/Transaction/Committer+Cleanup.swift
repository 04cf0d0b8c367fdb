// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import TiKVFailpoints
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
        let mutations = self.plan.mutations
        guard mutations.indices.contains(where: { mutations.shape(at: $0).leavesLock }) else { return }
        self.context.inBackground {
            var rest = [mutations]
            if primaryFirst {
                if let place = mutations.place(of: self.plan.primary) { rest = mutations.without([place..<place + 1]) }
                guard await self.rollBack([self.plan.primary]) else { return }
            }
            _ = await self.rollBack(rest)
        }
    }

    /// - Returns: whether all of them are rolled back.
    func rollBack(_ keys: [[UInt8]]) async -> Bool {
        await self.rollBack([MutationList(keys.map { Mutation(.lock, $0) })])
    }

    /// Rolls the keys back that leave locks.
    ///
    /// - Returns: whether all of them are rolled back.
    func rollBack(_ parts: [MutationList]) async -> Bool {
        let isRefused = Flag()
        let failure = await self.forEachRegion(parts) { keys, region, call async throws(TiKVError) in
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

    /// Sends something about the keys that leave locks to their regions, side by side.
    func forEachRegion(
        _ parts: [MutationList],
        _ send: @escaping @Sendable ([[UInt8]], CachedRegion, inout RegionCall) async throws(TiKVError) -> Bool
    ) async -> TiKVError? {
        let sender = self.context.sender
        let limit = self.sizeLimit
        guard parts.contains(where: { !$0.isEmpty }) else { return nil }
        do throws(TiKVError) {
            try await sender.scatter(
                parts, timeout: Self.cleanupTimeout, isWrite: false,
                concurrency: self.context.configuration.maximumConcurrency, options: self.options.request,
                split: { parts, call async throws(TiKVError) in
                    var pieces: [(region: CachedRegion, work: [MutationList])] = []
                    for part in parts {
                        for (region, places) in try await sender.group(part.indices, key: { part.key(at: $0) }, &call) {
                            pieces += part[places].pieces(bytes: limit, size: { part.keySize(at: $0) })
                                .map { (region, [$0]) }
                        }
                    }
                    return pieces
                },
                deliver: { parts, region, call async throws(TiKVError) -> Void? in
                    // Copied only when their turn comes.
                    let keys = parts.flatMap(\.lockedKeys)
                    guard !keys.isEmpty else { return () }
                    return try await send(keys, region, &call) ? () : nil
                },
                collect: { _ in })
            return nil
        } catch {
            return error
        }
    }
}
