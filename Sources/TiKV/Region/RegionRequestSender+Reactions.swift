// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import TiKVPD
import TiKVProto
import TiKVTransport

extension RegionRequestSender {
    /// Carries out the reaction to a region error.
    ///
    /// - Returns: the region to send to next; nil where the request must be routed anew.
    func react(
        to error: Errorpb_Error, from store: StoreHandle, _ region: CachedRegion, _ call: inout RegionCall
    ) async throws(TiKVError) -> CachedRegion? {
        let name = RegionErrorReaction.name(of: error)
        self.logger.log(.debug, "region error", [.error: name, .region: region.id, .store: store.id])
        call.record(
            RegionErrorReaction.code(of: error), "store \(store.id) answered \(name) for region \(region.id)",
            address: "\(store.address)")

        switch RegionErrorReaction(error, region: region.description) {
        case .switchLeader(let peer):
            try await self.move(nil, &call)
            return await self.cache.switchLeader(of: region, to: peer)
        case .tryNextPeer(let kind):
            return try await self.nextPeer(of: region, kind, &call)
        case .reload(let kind):
            await self.cache.invalidate(region)
            try await self.move(kind, &call)
            return nil
        case .install(let regions):
            await self.cache.install(regions, leaderOn: store.id)
            // Gone already where one of those took its place.
            await self.cache.invalidate(region)
            try await self.move(nil, &call)
            return nil
        case .retry(let kind, let hint):
            try await self.wait(kind, hint: hint, &call)
            return region
        case .reloadStore:
            self.stores.forget(store)
            await self.cache.invalidate(region)
            try await self.move(nil, &call)
            return nil
        case .undetermined:
            call.isOutcomeUnknown = true
            guard call.isRepeatable else {
                throw TiKVError(.regionUnavailable, "store \(store.id) does not know what became of the request")
            }
            // The last of the same writes decides.
            try await self.wait(.regionMiss, &call)
            return region
        case .fail(let code, let message):
            throw TiKVError(code, message, detail: error.message)
        }
    }

    /// Carries out the reaction to a call that got no answer, or a refusal.
    ///
    /// - Returns: the region to send to next; nil where the request must be routed anew.
    func react(
        to error: RPCError, from store: StoreHandle, _ region: CachedRegion, _ call: inout RegionCall
    ) async throws(TiKVError) -> CachedRegion? {
        if TransportErrorReaction.isOutcomeUnknown(error) { call.isOutcomeUnknown = true }
        if Task.isCancelled { throw TiKVError(.cancelled, "the task was cancelled") }
        if self.lifecycle.isClosed { throw TiKVError(.clientClosed, "the client is closed") }
        self.logger.log(
            .debug, "call failed",
            [.error: "\(error.code)", .region: region.id, .store: store.id, .address: store.address])

        // A server's own words may be about keys; the transport's are about sockets.
        let words = error.delivery == .answered || error.message.isEmpty ? "" : ": \(error.message)"
        let failure = "store \(store.id) at \(store.address) could not be reached (\(error.code)\(words))"
        switch TransportErrorReaction(error, hasDeadlinePassed: call.deadline.hasPassed(at: self.clock.now)) {
        case .expired:
            guard error.delivery == .notSent else { throw call.unanswered(by: store) }
            call.recordCutShort(failure, address: "\(store.address)")
            throw call.expired()
        case .tryNextPeer(let isAddressSuspect):
            call.record(.storeUnreachable, failure, address: "\(store.address)")
            if isAddressSuspect { self.stores.forget(store) }
            try Self.checkRepetition(call, failure)
            return try await self.nextPeer(of: region, .tikvRPC, &call)
        case .retry(let kind):
            call.record(
                .serverIsBusy,
                "store \(store.id) at \(store.address) has no room for the request (\(error.code)\(words))",
                address: "\(store.address)")
            try Self.checkRepetition(call, failure)
            try await self.wait(kind, &call)
            return region
        case .fail(let code, let message):
            throw TiKVError(code, message, detail: error.message, cause: error)
        }
    }

    /// Throws where a request that may have taken effect must not be sent again.
    private static func checkRepetition(_ call: RegionCall, _ failure: String) throws(TiKVError) {
        guard call.isOutcomeUnknown, !call.isRepeatable else { return }
        throw TiKVError(.storeUnreachable, "no answer to a request that must not be sent twice: \(failure)")
    }

    /// Goes on to a peer of the region that has not failed yet; where all have, to what PD says.
    private func nextPeer(
        of region: CachedRegion, _ kind: BackoffKind?, _ call: inout RegionCall
    ) async throws(TiKVError) -> CachedRegion? {
        call.triedPeers.append(region.leader.id)
        let next: CachedRegion?
        if let peer = region.nextPeer(excluding: call.triedPeers) {
            next = await self.cache.switchLeader(of: region, to: peer)
        } else {
            call.triedPeers = []
            await self.cache.invalidate(region)
            next = nil
        }
        try await self.move(kind, &call)
        return next
    }

    /// Waits where a wait is asked for, or where the call has moved on too often without one.
    private func move(_ kind: BackoffKind?, _ call: inout RegionCall) async throws(TiKVError) {
        if let kind = kind ?? call.move() { try await self.wait(kind, &call) }
    }
}
