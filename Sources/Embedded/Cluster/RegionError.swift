// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Why a store did not take a request, with what it says about it. The cases are those of TiKV's `errorpb`.
enum RegionError: Error, Sendable {
    case notLeader(region: UInt64, leader: RegionPeer?)
    case regionNotFound(UInt64)
    case keyNotInRegion(key: [UInt8], region: RegionState)
    case epochNotMatch(sent: RegionEpoch, current: RegionState, regions: [RegionState])
    case serverIsBusy(reason: String, backoffMilliseconds: UInt64, estimatedWaitMilliseconds: UInt32)
    case staleCommand
    case storeNotMatch(requested: UInt64, actual: UInt64)
    case raftEntryTooLarge(region: UInt64, size: UInt64)
    case maxTimestampNotSynced
    case readIndexNotReady(region: UInt64, reason: String)
    case proposalInMergingMode(UInt64)
    case dataIsNotReady(region: UInt64, peer: UInt64, safeTS: UInt64)
    case regionNotInitialized(UInt64)
    case diskFull(stores: [UInt64], reason: String)
    case recoveryInProgress(UInt64)
    case flashbackInProgress(region: UInt64, startTS: UInt64)
    case flashbackNotPrepared(UInt64)
    case isWitness(UInt64)
    case mismatchPeerID(requested: UInt64, actual: UInt64)
    case bucketVersionNotMatch(version: UInt64, keys: [[UInt8]])
    case undeterminedResult(String)
    /// An error that has no message type of its own.
    case other(String)
}
