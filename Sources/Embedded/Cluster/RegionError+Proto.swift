// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension RegionError {
    var proto: Errorpb_Error {
        var error = Errorpb_Error()
        error.message = self.message
        switch self {
        case .notLeader(let region, let leader):
            error.notLeader.regionID = region
            if let leader { error.notLeader.leader = leader.proto }
        case .regionNotFound(let region):
            error.regionNotFound.regionID = region
        case .keyNotInRegion(let key, let region):
            error.keyNotInRegion.key = Data(key)
            error.keyNotInRegion.regionID = region.id
            error.keyNotInRegion.startKey = Data(region.startKey)
            error.keyNotInRegion.endKey = Data(region.endKey)
        case .epochNotMatch(_, _, let regions):
            error.epochNotMatch.currentRegions = regions.map(\.proto)
        case .serverIsBusy(let reason, let backoff, let wait):
            error.serverIsBusy.reason = reason
            error.serverIsBusy.backoffMs = backoff
            error.serverIsBusy.estimatedWaitMs = wait
        case .staleCommand:
            error.staleCommand = Errorpb_StaleCommand()
        case .storeNotMatch(let requested, let actual):
            error.storeNotMatch.requestStoreID = requested
            error.storeNotMatch.actualStoreID = actual
        case .raftEntryTooLarge(let region, let size):
            error.raftEntryTooLarge.regionID = region
            error.raftEntryTooLarge.entrySize = size
        case .maxTimestampNotSynced:
            error.maxTimestampNotSynced = Errorpb_MaxTimestampNotSynced()
        case .readIndexNotReady(let region, let reason):
            error.readIndexNotReady.regionID = region
            error.readIndexNotReady.reason = reason
        case .proposalInMergingMode(let region):
            error.proposalInMergingMode.regionID = region
        case .dataIsNotReady(let region, let peer, let safeTS):
            error.dataIsNotReady.regionID = region
            error.dataIsNotReady.peerID = peer
            error.dataIsNotReady.safeTs = safeTS
        case .regionNotInitialized(let region):
            error.regionNotInitialized.regionID = region
        case .diskFull(let stores, let reason):
            error.diskFull.storeID = stores
            error.diskFull.reason = reason
        case .recoveryInProgress(let region):
            error.recoveryInProgress.regionID = region
        case .flashbackInProgress(let region, let startTS):
            error.flashbackInProgress.regionID = region
            error.flashbackInProgress.flashbackStartTs = startTS
        case .flashbackNotPrepared(let region):
            error.flashbackNotPrepared.regionID = region
        case .isWitness(let region):
            error.isWitness.regionID = region
        case .mismatchPeerID(let requested, let actual):
            error.mismatchPeerID.requestPeerID = requested
            error.mismatchPeerID.storePeerID = actual
        case .bucketVersionNotMatch(let version, let keys):
            error.bucketVersionNotMatch.version = version
            error.bucketVersionNotMatch.keys = keys.map { Data($0) }
        case .undeterminedResult(let message):
            error.undeterminedResult.message = message
        case .other:
            break
        }
        return error
    }

    /// What TiKV says in words.
    private var message: String {
        switch self {
        case .notLeader(let region, let leader):
            let hint = leader.map { "Some(id: \($0.id) store_id: \($0.storeID))" } ?? "None"
            return "peer is not leader for region \(region), leader may \(hint)"
        case .regionNotFound(let region): return "region \(region) not found"
        case .keyNotInRegion(let key, let region):
            return "key \(key.hex) is not in region key range [\(region.startKey.hex), \(region.endKey.hex))"
                + " for region \(region.id)"
        case .epochNotMatch(let sent, let current, _):
            return "EpochNotMatch current epoch of region \(current.id) is \(current.epoch), but you sent \(sent)"
        case .serverIsBusy(let reason, _, _): return reason
        case .staleCommand: return "stale command"
        case .storeNotMatch(let requested, let actual): return "to store id \(requested), mine \(actual)"
        case .raftEntryTooLarge(let region, let size):
            return "raft entry is too large, region \(region), entry size \(size)"
        case .maxTimestampNotSynced: return "max timestamp is not synced"
        case .readIndexNotReady(let region, let reason):
            return "read index not ready, reason \(reason), region \(region)"
        case .proposalInMergingMode(let region): return "\(region) peer in merging mode, can't do proposal"
        case .dataIsNotReady(let region, let peer, let safeTS):
            return "peer \(peer) is not ready, safe_ts \(safeTS), region \(region)"
        case .regionNotInitialized(let region): return "region \(region) not initialized yet"
        case .diskFull(let stores, let reason): return "store ids \(stores), errmsg \(reason)"
        case .recoveryInProgress(let region): return "region \(region) is in the recovery progress"
        case .flashbackInProgress(let region, let startTS):
            return "region \(region) is in the flashback progress with start_ts \(startTS)"
        case .flashbackNotPrepared(let region): return "region \(region) not prepared the flashback"
        case .isWitness(let region): return "peer is a witness of region \(region)"
        case .mismatchPeerID(let requested, let actual): return "mismatch peer id \(requested) != \(actual)"
        case .bucketVersionNotMatch(let version, _): return "bucket version not match, current \(version)"
        case .undeterminedResult(let message), .other(let message): return message
        }
    }
}

extension RegionEpoch: CustomStringConvertible {
    var description: String { "conf_ver: \(self.confVer) version: \(self.version)" }

    var proto: Metapb_RegionEpoch {
        .with {
            $0.confVer = self.confVer
            $0.version = self.version
        }
    }
}

extension RegionPeer {
    var proto: Metapb_Peer {
        .with {
            $0.id = self.id
            $0.storeID = self.storeID
        }
    }
}

extension RegionState {
    var proto: Metapb_Region {
        .with {
            $0.id = self.id
            $0.startKey = Data(self.startKey)
            $0.endKey = Data(self.endKey)
            $0.regionEpoch = self.epoch.proto
            $0.peers = self.peers.map(\.proto)
        }
    }
}

extension StoreState {
    var proto: Metapb_Store {
        .with {
            $0.id = self.id
            $0.address = self.address
            $0.state =
                switch self.phase {
                case .up: .up
                case .offline: .offline
                case .tombstone: .tombstone
                }
            $0.nodeState =
                switch self.phase {
                case .up: .serving
                case .offline: .removing
                case .tombstone: .removed
                }
            $0.labels = self.labels.sorted { $0.key < $1.key }.map { label in
                .with {
                    $0.key = label.key
                    $0.value = label.value
                }
            }
            $0.version = ClusterModel.version
        }
    }
}

extension [UInt8] {
    /// As TiKV prints keys.
    var hex: String {
        let digits = [Character]("0123456789ABCDEF")
        var text = ""
        for byte in self {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return text
    }
}
