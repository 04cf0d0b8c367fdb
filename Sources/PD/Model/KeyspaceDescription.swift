// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// A keyspace: a numbered, named part of a cluster with keys of its own.
package struct KeyspaceDescription: Sendable, Hashable {
    package enum State: Sendable {
        case enabled
        case disabled
        case archived
        /// Gone for good.
        case tombstone
    }

    package var id: UInt32
    /// The name space that the number is within, for keyspaces of API V3; nil for those of V2.
    package var namespaceID: UInt32?
    package var name: String
    package var state: State
    package var config: [String: String]

    /// Whether its garbage is collected apart from that of other keyspaces.
    package var hasOwnGC: Bool { self.config["gc_management_type"] == "keyspace_level" }

    package init(
        id: UInt32, name: String, state: State = .enabled, config: [String: String] = [:],
        namespaceID: UInt32? = nil
    ) {
        self.id = id
        self.namespaceID = namespaceID
        self.name = name
        self.state = state
        self.config = config
    }
}

extension KeyspaceDescription {
    init(_ meta: Keyspacepb_KeyspaceMeta) {
        let (id, namespaceID): (UInt32, UInt32?) =
            switch meta.keyspace {
            case .id(let id)?: (id, nil)
            case .keyspaceIdentity(let identity)?: (identity.keyspaceID, identity.namespaceID)
            case nil: (0, nil)
            }
        self.init(
            id: id, name: meta.name, state: State(meta.state), config: meta.config, namespaceID: namespaceID)
    }
}

extension KeyspaceDescription.State {
    init(_ state: Keyspacepb_KeyspaceState) {
        switch state {
        case .enabled: self = .enabled
        case .disabled: self = .disabled
        case .archived: self = .archived
        // A state of later servers: nobody should write there.
        case .tombstone, .UNRECOGNIZED: self = .tombstone
        }
    }

    var proto: Keyspacepb_KeyspaceState {
        switch self {
        case .enabled: .enabled
        case .disabled: .disabled
        case .archived: .archived
        case .tombstone: .tombstone
        }
    }
}
