// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A change that makes no sense in the cluster's current state.
enum ClusterStateError: Error, Equatable {
    case unknownRegion(UInt64)
    case unknownStore(UInt64)
    case noPeer(region: UInt64, store: UInt64)
    case peerExists(region: UInt64, store: UInt64)
    case lastPeer(region: UInt64)
    case leaderOfRegion(region: UInt64, store: UInt64)
    case storeStopped(UInt64)
    case storeRunning(UInt64)
    case noSplitKey(region: UInt64)
    case keyOutsideRegion(region: UInt64)
    case notNeighbours(UInt64, UInt64)
    case peersDiffer(UInt64, UInt64)
}
