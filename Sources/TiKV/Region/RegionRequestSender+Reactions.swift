// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import TiKVPD
import TiKVProto
import TiKVTransport

extension RegionRequestSender {
    // MARK: - Answers

    /// Carries out the reaction to a region error.
    ///
    /// - Returns: whether to go on in this region; else the request must be routed anew.
    func react(
        to error: Errorpb_Error, from target: Target, _ region: CachedRegion, _ call: inout RegionCall
    ) async throws(TiKVError) -> Bool {
        let name = RegionErrorReaction.name(of: error)
        let store = target.receiver
        self.logger.log(.debug, "region error", [.error: name, .region: region.id, .store: store.id])
        call.record(
            RegionErrorReaction.code(of: error), "store \(store.id) answered \(name) for region \(region.id)",
            name: name, address: "\(store.address)")
        // The leader changed while the write was on its way through the log.
        if error.hasStaleCommand {
            call.isOutcomeUnknown = true
            try Self.checkRepetition(call, "store \(store.id) answered \(name)")
        }

        var effects: [ReplicaSelector.Effect] = []
        let views = self.views(of: region, call.options.replica)
        let step = call.selector?.react(
            to: RegionErrorReaction(error, region: region), of: target.choice, leader: region.leaderIndex,
            stores: views, effects: &effects)
        await self.apply(effects, of: target, to: region)
        switch step {
        case .again:
            try await self.move(error.hasStaleCommand ? .staleCommand : .regionMiss, &call)
            return true
        case .wait(let kind, let hint):
            try await self.wait(kind, hint: hint, &call)
            return true
        case .reroute(let kind):
            if let kind { try await self.wait(kind, &call) } else { try await self.move(.regionMiss, &call) }
            return false
        case .undetermined:
            // A read has no outcome, and may be asked again.
            guard call.isWrite || call.asksAgainIfUndetermined else {
                try await self.move(.regionMiss, &call)
                return true
            }
            call.isOutcomeUnknown = true
            if call.asksAgainIfUndetermined {
                try await self.wait(.regionMiss, &call)
                return false
            }
            throw TiKVError(
                .undetermined, "store \(store.id) does not know what became of the request", detail: error.message)
        case .fail(let code, let message):
            throw TiKVError(code, message, detail: error.message)
        case nil:
            return false
        }
    }

    // MARK: - No answer

    /// Carries out the reaction to a call that got no answer, or a refusal.
    ///
    /// - Returns: whether to go on in this region; else the request must be routed anew.
    func react(
        to error: RPCError, from target: Target, _ region: CachedRegion, _ call: inout RegionCall
    ) async throws(TiKVError) -> Bool {
        if TransportErrorReaction.isOutcomeUnknown(error) { call.isOutcomeUnknown = true }
        if Task.isCancelled { throw TiKVError(.cancelled, "the task was cancelled") }
        if self.lifecycle.isClosed { throw TiKVError(.clientClosed, "the client is closed") }
        let store = target.receiver
        self.logger.log(
            .debug, "call failed",
            [
                .error: "\(error.code)", .region: region.id, .store: store.id, .address: store.address,
                .target: Target.words(target, in: region),
            ])

        // A server's own words may be about keys; the transport's are about sockets.
        let words = error.delivery == .answered || error.message.isEmpty ? "" : ": \(error.message)"
        let failure = "store \(store.id) at \(store.address) could not be reached (\(error.code)\(words))"
        switch TransportErrorReaction(error, hasDeadlinePassed: call.deadline.hasPassed(at: self.clock.now)) {
        case .expired:
            // The call's own end says nothing about the region.
            guard error.delivery == .notSent else { throw call.unanswered(by: store) }
            call.recordCutShort(failure, address: "\(store.address)")
            throw call.expired()
        case .tryNextPeer(let isAddressSuspect):
            call.record(.storeUnreachable, failure, name: "\(error.code)", address: "\(store.address)")
            try Self.checkRepetition(call, failure)
            if error.code == .deadlineExceeded, call.selector?.tookTooLong(target.choice) == true {
                try await self.move(.regionMiss, &call)
                return true
            }
            let record = region.replicas[target.choice.proxy ?? target.choice.index].store
            if isAddressSuspect { record.needsCheck() }
            // Nobody here has cancelled it: the other side is about to end, or has given the connection up.
            if error.code == .cancelled { await self.stores.reconnect(store) }
            let liveness: StoreLiveness
            if error.isPermanent {
                // A look at it would find the same. Whoever looks after it sees when certificates have been put right.
                record.noteRefusal(failure, at: self.clock.now)
                record.liveness = .unreachable
                self.stores.suspect(record)
                liveness = .unreachable
            } else {
                liveness = await self.liveness(of: record, call)
            }
            var effects: [ReplicaSelector.Effect] = []
            let step = call.selector?.unanswered(
                target.choice, liveness: liveness, leader: region.leaderIndex, effects: &effects)
            await self.apply(effects, of: target, to: region)
            if error.isPermanent {
                // Waiting makes nothing better.
                try await self.move(.tikvRPC, &call)
            } else if case .wait(let kind, let hint) = step {
                try await self.wait(kind, hint: hint, &call)
            }
            return true
        case .retry(let kind):
            call.record(
                .serverIsBusy,
                "store \(store.id) at \(store.address) has no room for the request (\(error.code)\(words))",
                name: "\(error.code)", address: "\(store.address)")
            try Self.checkRepetition(call, failure)
            try await self.wait(kind, &call)
            return true
        case .fail(let code, let message):
            throw TiKVError(code, message, detail: error.message, cause: error)
        }
    }

    /// Throws where a request that may have taken effect must not be sent again.
    private static func checkRepetition(_ call: RegionCall, _ failure: String) throws(TiKVError) {
        guard call.isOutcomeUnknown, !call.isRepeatable else { return }
        throw TiKVError(.storeUnreachable, "no answer to a request that must not be sent twice: \(failure)")
    }

    /// Waits where the call has moved on too often without a wait.
    private func move(_ kind: BackoffKind, _ call: inout RegionCall) async throws(TiKVError) {
        if let kind = call.move(kind) { try await self.wait(kind, &call) } else { try self.check(call) }
    }

    // MARK: - Effects

    /// Lets others know what a request has found out.
    private func apply(_ effects: [ReplicaSelector.Effect], of target: Target, to region: CachedRegion) async {
        for effect in effects {
            switch effect {
            case .install(let regions, let index):
                await self.cache.install(regions, leaderOn: self.electable(index, in: region))
                // Gone already where one of those took its place.
                if !regions.contains(where: { $0.id == region.id && $0.epoch == region.epoch }) {
                    self.cache.invalidate(region, .epochNotMatch)
                }
            case .reconnect(let index):
                region.replicas[index].store.needsCheck()
                if let proxy = target.choice.proxy { region.replicas[proxy].store.needsCheck() }
                // The address may be the same and lead elsewhere by now: that of whoever gave this answer.
                await self.stores.reconnect(target.receiver)
            default: self.applyNow([effect], to: region)
            }
        }
    }

    /// The same for those that are done at once, which all but a few are.
    func applyNow(_ effects: [ReplicaSelector.Effect], to region: CachedRegion) {
        for effect in effects {
            switch effect {
            case .switchLeader(let index):
                region.switchLeader(to: index)
                self.logger.log(
                    .debug, "a region has another leader", [.region: region.id, .store: region.leader.storeID])
            case .invalidate(let reason): self.cache.invalidate(region, reason)
            case .reloadOnAccess: region.reloadOnAccess()
            case .reloadLater: region.reloadLater()
            case .setProxy(let index): region.proxy = index
            case .markSlow(let index): region.replicas[index].store.markSlow()
            case .estimatedWait(let index, let wait):
                region.replicas[index].store.noteEstimatedWait(wait, at: self.clock.now)
            case .failed(let index):
                let replica = region.replicas[index]
                if replica.store.fail(at: replica.epoch) {
                    self.logger.log(
                        .info, "a store does not answer; its regions use other replicas", [.store: replica.store.id])
                }
            case .buckets(let buckets):
                // A store that names only their version leaves it to PD to say what they are.
                if buckets.keys.count > 1 {
                    region.update(buckets)
                } else {
                    self.cache.noteBuckets(version: buckets.version, sent: 0, of: region)
                }
            case .install, .reconnect: break
            }
        }
    }

    /// The store that is taken for the leader's where a region comes without one.
    private func electable(_ index: Int, in region: CachedRegion) -> UInt64? {
        let replica = region.replicas[index]
        return replica.peer.canLead ? replica.peer.storeID : nil
    }
}
