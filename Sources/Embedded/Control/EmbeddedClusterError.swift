// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Why a change of an embedded cluster was refused. The cluster is as it was before.
public struct EmbeddedClusterError: Error, Hashable, Sendable {
    /// What kind of error it is.
    public struct Code: Hashable, Sendable {
        private enum Value {
            case cannotListen
            case invalidTLS
            case unknownRegion
            case unknownStore
            case invalidPeer
            case storeStopped
            case storeRunning
            case invalidSplitKey
            case cannotMerge
            case unknownMember
            case memberStopped
            case memberRunning
            case keyspaceExists
        }

        private let value: Value

        /// A port could not be had.
        public static let cannotListen = Code(value: .cannotListen)
        /// A certificate or key cannot be read or used, or a host for a certificate is none.
        public static let invalidTLS = Code(value: .invalidTLS)
        /// There is no such region, or no longer.
        public static let unknownRegion = Code(value: .unknownRegion)
        /// There is no such store.
        public static let unknownStore = Code(value: .unknownStore)
        /// The region has no peer on that store, has one already, or cannot do without it.
        public static let invalidPeer = Code(value: .invalidPeer)
        /// The store would have to be running.
        public static let storeStopped = Code(value: .storeStopped)
        /// The store is running already.
        public static let storeRunning = Code(value: .storeRunning)
        /// The key is outside the region, or there is a border already.
        public static let invalidSplitKey = Code(value: .invalidSplitKey)
        /// The regions are not neighbours, or their peers are on different stores.
        public static let cannotMerge = Code(value: .cannotMerge)
        /// PD has no such member.
        public static let unknownMember = Code(value: .unknownMember)
        /// The member of PD would have to be running.
        public static let memberStopped = Code(value: .memberStopped)
        /// The member of PD is running already.
        public static let memberRunning = Code(value: .memberRunning)
        /// There is a keyspace of this name.
        public static let keyspaceExists = Code(value: .keyspaceExists)
    }

    /// What kind of error it is.
    public var code: Code
    /// What was wrong, with the identifiers in question.
    public var message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: ClusterStateError) {
        switch error {
        case .unknownRegion(let id): self.init(.unknownRegion, "there is no region \(id)")
        case .unknownStore(let id): self.init(.unknownStore, "there is no store \(id)")
        case .noPeer(let region, let store): self.init(.invalidPeer, "region \(region) has no peer on store \(store)")
        case .peerExists(let region, let store):
            self.init(.invalidPeer, "region \(region) has a peer on store \(store) already")
        case .lastPeer(let region): self.init(.invalidPeer, "region \(region) has no other peer")
        case .leaderOfRegion(let region, let store):
            self.init(.invalidPeer, "the peer of region \(region) on store \(store) is its leader")
        case .storeStopped(let id): self.init(.storeStopped, "store \(id) is stopped")
        case .storeRunning(let id): self.init(.storeRunning, "store \(id) is running")
        case .noSplitKey(let id): self.init(.invalidSplitKey, "region \(id) starts at the key already")
        case .keyOutsideRegion(let id): self.init(.invalidSplitKey, "the key is not in region \(id)")
        case .notNeighbours(let source, let target):
            self.init(.cannotMerge, "regions \(source) and \(target) are not neighbours")
        case .peersDiffer(let source, let target):
            self.init(.cannotMerge, "the peers of regions \(source) and \(target) are on different stores")
        }
    }
}

extension EmbeddedClusterError: CustomStringConvertible {
    /// The ``message``.
    public var description: String { self.message }
}
