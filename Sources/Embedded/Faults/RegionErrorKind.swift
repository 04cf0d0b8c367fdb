// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension EmbeddedCluster {
    /// A region error to inject. What a case does not say is filled in from the region that the request was for.
    public struct RegionErrorKind: Sendable {
        private let make: @Sendable (_ region: RegionState?, _ target: RequestTarget, _ storeID: UInt64) -> RegionError

        func error(for region: RegionState?, target: RequestTarget, on storeID: UInt64) -> RegionError {
            self.make(region, target, storeID)
        }

        // MARK: - Routing

        /// The peer does not lead, and says who does.
        public static let notLeader = Self { region, target, _ in
            .notLeader(region: target.regionID, leader: region?.leader)
        }

        /// The peer does not lead and knows of nobody who does.
        public static let notLeaderWithoutHint = Self { _, target, _ in
            .notLeader(region: target.regionID, leader: nil)
        }

        /// The peer does not lead and says that the one on another store does, be that true or not.
        public static func notLeader(hint storeID: UInt64) -> Self {
            Self { region, target, _ in .notLeader(region: target.regionID, leader: region?.peer(on: storeID)) }
        }

        /// The request is for another version of the region; the answer names the current one.
        public static let epochNotMatch = Self { region, target, storeID in
            guard let region else { return .regionNotFound(target.regionID) }
            return .epochNotMatch(sent: target.epoch ?? region.epoch, current: region, regions: [region])
        }

        /// The request is for another version of the region, and the answer names none.
        public static let epochNotMatchWithoutRegions = Self { region, target, storeID in
            guard let region else { return .regionNotFound(target.regionID) }
            return .epochNotMatch(sent: target.epoch ?? region.epoch, current: region, regions: [])
        }

        /// The store has no such region.
        public static let regionNotFound = Self { _, target, _ in .regionNotFound(target.regionID) }

        /// The key lies outside the region.
        public static let keyNotInRegion = Self { region, target, _ in
            region.map { .keyNotInRegion(key: [], region: $0) } ?? .regionNotFound(target.regionID)
        }

        /// The store says that it is another one than the request was for.
        public static let storeNotMatch = Self { _, target, storeID in
            .storeNotMatch(requested: target.storeID, actual: storeID &+ 1000)
        }

        /// The peer on the store is another one than the request was for.
        public static let mismatchPeerID = Self { _, target, _ in
            .mismatchPeerID(requested: target.peerID, actual: target.peerID &+ 1000)
        }

        /// The peer has just been made and has no data yet.
        public static let regionNotInitialized = Self { _, target, _ in .regionNotInitialized(target.regionID) }

        /// The peer votes but holds no data.
        public static let isWitness = Self { _, target, _ in .isWitness(target.regionID) }

        // MARK: - Trying again

        /// - Parameters:
        ///   - backoffMilliseconds: how long the client is asked to wait; 0 leaves that to it.
        ///   - estimatedWaitMilliseconds: how long the read queue is; 0 where the store says nothing of it.
        public static func serverIsBusy(
            reason: String = "server is busy", backoffMilliseconds: UInt64 = 0, estimatedWaitMilliseconds: UInt32 = 0
        ) -> Self {
            Self { _, _, _ in
                .serverIsBusy(
                    reason: reason, backoffMilliseconds: backoffMilliseconds,
                    estimatedWaitMilliseconds: estimatedWaitMilliseconds)
            }
        }

        /// The peer lost its leadership while it worked on the request.
        public static let staleCommand = Self { _, _, _ in .staleCommand }

        /// The new leader does not know yet how far reads have gone.
        public static let maxTimestampNotSynced = Self { _, _, _ in .maxTimestampNotSynced }

        /// A follower cannot tell yet how much it has to have applied.
        public static let readIndexNotReady = Self { _, target, _ in
            .readIndexNotReady(region: target.regionID, reason: "can not read index due to merge")
        }

        /// The region is being merged and takes no writes.
        public static let proposalInMergingMode = Self { _, target, _ in .proposalInMergingMode(target.regionID) }

        /// A follower has not caught up with the timestamp of a read.
        public static func dataIsNotReady(safeTS: UInt64 = 0) -> Self {
            Self { _, target, _ in .dataIsNotReady(region: target.regionID, peer: target.peerID, safeTS: safeTS) }
        }

        /// The region is being recovered from a loss of replicas.
        public static let recoveryInProgress = Self { _, target, _ in .recoveryInProgress(target.regionID) }

        /// The request is for other buckets than the region has now, which these are.
        public static func bucketVersionNotMatch(version: UInt64, keys: [[UInt8]]) -> Self {
            Self { _, _, _ in .bucketVersionNotMatch(version: version, keys: keys) }
        }

        // MARK: - Giving up

        /// - Parameter size: bytes of what was to be written at once.
        public static func raftEntryTooLarge(size: UInt64) -> Self {
            Self { _, target, _ in .raftEntryTooLarge(region: target.regionID, size: size) }
        }

        /// The disk is so full that the store takes no writes of this kind.
        public static let diskFull = Self { _, _, storeID in
            .diskFull(stores: [storeID], reason: "disk full, all the business data write forbiden")
        }

        /// The region is being set back to an earlier version, by the flashback that started at this timestamp.
        public static func flashbackInProgress(startTS: UInt64) -> Self {
            Self { _, target, _ in .flashbackInProgress(region: target.regionID, startTS: startTS) }
        }

        /// The request is part of a flashback that the region has not been prepared for.
        public static let flashbackNotPrepared = Self { _, target, _ in .flashbackNotPrepared(target.regionID) }

        /// A write may have happened or not.
        public static let undeterminedResult = Self { _, _, _ in .undeterminedResult("async write callback dropped") }

        /// An error that has no message of its own, only a text.
        public static func other(_ message: String) -> Self {
            Self { _, _, _ in .other(message) }
        }
    }
}
