// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVProto

/// What to do about a region error: one written-down reaction for each.
///
/// A region error says that the store did not take the request, so that every one but `undetermined` leaves the outcome
/// known: nothing was done.
enum RegionErrorReaction: Sendable, Equatable {
    /// This peer leads now: send to it at once.
    case switchLeader(PeerDescription)
    /// Another peer may know better: send to the next one, after a wait where one is named.
    case tryNextPeer(BackoffKind?)
    /// What is known of the region is wrong: forget it and ask PD, after a wait where one is named.
    case reload(BackoffKind?)
    /// These are the regions now: take them in and route again.
    case install([RegionDescription])
    /// The right place, the wrong time: the same again after a wait, which the server may have set itself.
    case retry(BackoffKind, hint: Duration?)
    /// The store at this address is another one: forget its address and the region.
    case reloadStore
    /// The request was taken and its result is not known.
    case undetermined
    /// Trying again is of no use.
    case fail(TiKVError.Code, String)

    init(_ error: Errorpb_Error, region: RegionDescription) {
        if error.hasUndeterminedResult {
            self = .undetermined
        } else if error.hasNotLeader {
            self = Self.notLeader(error.notLeader, region: region)
        } else if error.hasEpochNotMatch {
            self = Self.epochNotMatch(error.epochNotMatch, region: region)
        } else if error.hasDiskFull {
            self = .retry(.diskFull, hint: nil)
        } else if error.hasRecoveryInProgress {
            self = .reload(.recoveryInProgress)
        } else if error.hasIsWitness {
            self = .reload(.isWitness)
        } else if error.hasFlashbackInProgress {
            self = .fail(.flashbackInProgress, "the region is being set back to an earlier version")
        } else if error.hasFlashbackNotPrepared {
            self = .fail(.flashbackInProgress, "the region is not prepared to be set back to an earlier version")
        } else if error.hasRegionNotFound || error.hasKeyNotInRegion || error.hasMismatchPeerID {
            self = .reload(.regionMiss)
        } else if error.hasBucketVersionNotMatch {
            // Requests are not split by bucket, so the whole region is loaded anew.
            self = .reload(nil)
        } else if error.hasServerIsBusy {
            let milliseconds = error.serverIsBusy.backoffMs
            self = .retry(.serverBusy, hint: milliseconds == 0 ? nil : .milliseconds(Int64(clamping: milliseconds)))
        } else if error.hasStaleCommand {
            self = .tryNextPeer(nil)
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
            self = .tryNextPeer(nil)
        } else if error.message.contains("invalid max_ts update") {
            self = .fail(.serverError, "the store refused the request's timestamp")
        } else {
            // Also an error of a later server than this client, and "deadline is exceeded", which is words only.
            self = .tryNextPeer(nil)
        }
    }

    private static func notLeader(_ error: Errorpb_NotLeader, region: RegionDescription) -> Self {
        guard error.hasLeader, error.leader.id != 0 || error.leader.storeID != 0 else {
            // An election is on.
            return .tryNextPeer(.regionScheduling)
        }
        let leader = region.peers.first { $0.id == error.leader.id && $0.storeID == error.leader.storeID }
        // A leader that isn't a peer as far as known: the peers have changed.
        guard let leader else { return .reload(nil) }
        return .switchLeader(leader)
    }

    private static func epochNotMatch(_ error: Errorpb_EpochNotMatch, region: RegionDescription) -> Self {
        guard !error.currentRegions.isEmpty else { return .reload(.regionMiss) }
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
