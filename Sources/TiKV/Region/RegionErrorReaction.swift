// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVProto

/// What a region error means: one written-down reaction for each, listed in docs/routing.md. What it means for the request
/// at hand, which may have other replicas to go to, `ReplicaSelector` decides.
///
/// A region error says that the store did not take the request, so that every one but `undetermined` leaves the outcome
/// known: nothing was done.
enum RegionErrorReaction: Sendable, Equatable {
    /// This peer leads now: send to it at once.
    case switchLeader(PeerDescription)
    /// Nobody leads, as far as the peer knows: another may know better, after a wait.
    case findLeader
    /// The same again after a wait, which the server may have set itself.
    case retry(BackoffKind, hint: Duration?)
    /// The store has too much to do: the same again after a wait, or another replica.
    ///
    /// - Parameters:
    ///   - estimatedWait: how long the request would have waited in its queue, where it says so.
    ///   - isLate: the request's own time was over before its turn came.
    case busy(estimatedWait: Duration?, hint: Duration?, isLate: Bool)
    /// Another peer may know better.
    case tryNextPeer
    /// The replica does not have yet what a stale read asks for.
    case dataNotReady
    /// The request's own time was over before its turn came.
    case late
    /// The peer is not there (any more): the leader may still be, and else PD knows.
    case peerGone
    /// What is known of the region is wrong: forget it and ask PD, after a wait.
    case reload(RegionInvalidation, BackoffKind)
    /// A leader that is not among the peers: they have changed, ask PD.
    case reloadPeers
    /// These are the regions now: take them in and route again.
    case install([RegionDescription])
    /// These are the buckets now: take them in and route again.
    case buckets(RegionBuckets)
    /// The store at this address is another one: forget its address and the region, and connect anew.
    case reloadStore
    /// The region is being set back; where a follower says so, the leader may be through.
    case flashback(String)
    /// The request was taken and its result is not known.
    case undetermined
    /// Trying again is of no use.
    case fail(TiKVError.Code, String)

    init(_ error: Errorpb_Error, region: CachedRegion) {
        if error.hasUndeterminedResult {
            self = .undetermined
        } else if error.hasNotLeader {
            self = Self.notLeader(error.notLeader, region: region)
        } else if error.hasEpochNotMatch {
            self = Self.epochNotMatch(error.epochNotMatch, region: region)
        } else if error.hasDiskFull {
            self = .retry(.diskFull, hint: nil)
        } else if error.hasRecoveryInProgress {
            self = .reload(.refused, .recoveryInProgress)
        } else if error.hasIsWitness {
            self = .reload(.refused, .isWitness)
        } else if error.hasFlashbackInProgress {
            self = .flashback("the region is being set back to an earlier version")
        } else if error.hasFlashbackNotPrepared {
            self = .fail(.flashbackInProgress, "the region is not prepared to be set back to an earlier version")
        } else if error.hasRegionNotFound {
            self = .peerGone
        } else if error.hasKeyNotInRegion || error.hasMismatchPeerID {
            self = .reload(.refused, .regionMiss)
        } else if error.hasBucketVersionNotMatch {
            let buckets = error.bucketVersionNotMatch
            self = .buckets(RegionBuckets(version: buckets.version, keys: buckets.keys.map { [UInt8]($0) }))
        } else if error.hasServerIsBusy {
            self = Self.busy(error.serverIsBusy)
        } else if error.hasStaleCommand {
            self = .tryNextPeer
        } else if error.hasStoreNotMatch {
            self = .reloadStore
        } else if error.hasRaftEntryTooLarge {
            let size = error.raftEntryTooLarge.entrySize
            self = .fail(.entryTooLarge, "the write is larger than TiKV takes\(size == 0 ? "" : " (\(size) bytes)")")
        } else if error.hasMaxTimestampNotSynced {
            self = .retry(.maxTimestampNotSynced, hint: nil)
        } else if error.hasRegionNotInitialized {
            self = .retry(.regionNotInitialized, hint: nil)
        } else if error.hasReadIndexNotReady || error.hasProposalInMergingMode {
            self = .retry(.regionScheduling, hint: nil)
        } else if error.hasDataIsNotReady {
            self = .dataNotReady
        } else if error.message.contains(Self.lateWords) {
            self = .late
        } else if error.message.contains("invalid max_ts update") {
            self = .fail(.serverError, "the store refused the request's timestamp")
        } else {
            // Also an error of a later server than this client.
            self = .tryNextPeer
        }
    }

    /// How TiKV says that a request's time was over before its turn came; it has no field for that.
    private static let lateWords = "deadline is exceeded"

    private static func busy(_ error: Errorpb_ServerIsBusy) -> Self {
        .busy(
            estimatedWait: error.estimatedWaitMs == 0 ? nil : .milliseconds(Int64(error.estimatedWaitMs)),
            hint: error.backoffMs == 0 ? nil : .milliseconds(Int64(clamping: error.backoffMs)),
            isLate: error.reason.contains(Self.lateWords))
    }

    private static func notLeader(_ error: Errorpb_NotLeader, region: CachedRegion) -> Self {
        guard error.hasLeader, error.leader.id != 0 || error.leader.storeID != 0 else {
            // An election is on.
            return .findLeader
        }
        let known = region.replicas.first {
            $0.peer.id == error.leader.id && $0.peer.storeID == error.leader.storeID
        }
        guard let known else { return .reloadPeers }
        return .switchLeader(known.peer)
    }

    private static func epochNotMatch(_ error: Errorpb_EpochNotMatch, region: CachedRegion) -> Self {
        guard !error.currentRegions.isEmpty else { return .reload(.epochNotMatch, .regionMiss) }
        let current = error.currentRegions.map { RegionDescription($0) }
        // The store itself lags behind what is known: give it time.
        if current.contains(where: { $0.id == region.id && $0.epoch.isOlder(than: region.epoch) }) {
            return .retry(.regionMiss, hint: nil)
        }
        return .install(current)
    }

    /// The code of a call that got this error until its time was over.
    static func code(of error: Errorpb_Error) -> TiKVError.Code {
        if error.hasServerIsBusy { return .serverIsBusy }
        if error.hasDiskFull { return .diskFull }
        if error.hasRecoveryInProgress { return .recoveryInProgress }
        return .regionUnavailable
    }

    /// The error's name, for logs and messages.
    static func name(of error: Errorpb_Error) -> String {
        if error.hasUndeterminedResult { return "UndeterminedResult" }
        if error.hasNotLeader { return "NotLeader" }
        if error.hasEpochNotMatch { return "EpochNotMatch" }
        if error.hasDiskFull { return "DiskFull" }
        if error.hasRecoveryInProgress { return "RecoveryInProgress" }
        if error.hasIsWitness { return "IsWitness" }
        if error.hasFlashbackInProgress { return "FlashbackInProgress" }
        if error.hasFlashbackNotPrepared { return "FlashbackNotPrepared" }
        if error.hasRegionNotFound { return "RegionNotFound" }
        if error.hasKeyNotInRegion { return "KeyNotInRegion" }
        if error.hasMismatchPeerID { return "MismatchPeerId" }
        if error.hasBucketVersionNotMatch { return "BucketVersionNotMatch" }
        if error.hasServerIsBusy { return "ServerIsBusy" }
        if error.hasStaleCommand { return "StaleCommand" }
        if error.hasStoreNotMatch { return "StoreNotMatch" }
        if error.hasRaftEntryTooLarge { return "RaftEntryTooLarge" }
        if error.hasMaxTimestampNotSynced { return "MaxTimestampNotSynced" }
        if error.hasRegionNotInitialized { return "RegionNotInitialized" }
        if error.hasReadIndexNotReady { return "ReadIndexNotReady" }
        if error.hasProposalInMergingMode { return "ProposalInMergingMode" }
        if error.hasDataIsNotReady { return "DataIsNotReady" }
        return "unknown region error"
    }
}
