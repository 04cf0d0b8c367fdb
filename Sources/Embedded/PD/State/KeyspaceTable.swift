// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A keyspace as PD keeps it.
struct KeyspaceState: Sendable, Hashable {
    enum Phase: Sendable {
        case enabled
        case disabled
        case archived
        case tombstone
    }

    var id: UInt32
    var name: String
    var phase = Phase.enabled
    /// Unix time in seconds.
    var createdAt: Int64 = 0
    var changedAt: Int64 = 0
    var config: [String: String] = [:]

    /// Whether garbage is collected apart from that of the other keyspaces.
    var hasOwnGC: Bool { self.config["gc_management_type"] == "keyspace_level" }
}

/// Why a keyspace can't be had or changed.
enum KeyspaceError: Error, Equatable {
    case notFound
    case exists
    case illegalChange(String)
}

/// The keyspaces, with the one that PD makes by itself: `DEFAULT`, number 0.
struct KeyspaceTable: Sendable {
    private(set) var byID: [UInt32: KeyspaceState] = [0: KeyspaceState(id: 0, name: "DEFAULT")]
    /// Every change so far, for those who watch: the keyspace as it was then.
    private(set) var changes: [KeyspaceState] = []
    private var nextID: UInt32 = 1

    var all: [KeyspaceState] { self.byID.values.sorted { $0.id < $1.id } }

    func named(_ name: String) -> KeyspaceState? { self.byID.values.first { $0.name == name } }

    /// - Parameter now: Unix time in seconds.
    mutating func create(
        _ name: String, config: [String: String], now: Int64
    ) throws(KeyspaceError) -> KeyspaceState {
        guard self.named(name) == nil else { throw .exists }
        let keyspace = KeyspaceState(id: self.nextID, name: name, createdAt: now, changedAt: now, config: config)
        self.nextID += 1
        self.byID[keyspace.id] = keyspace
        self.changes.append(keyspace)
        return keyspace
    }

    /// Enabled and disabled follow each other freely; archived comes after disabled, and tombstone, for good, after that.
    mutating func change(
        _ id: UInt32, to phase: KeyspaceState.Phase, now: Int64
    ) throws(KeyspaceError) -> KeyspaceState {
        guard var keyspace = self.byID[id] else { throw .notFound }
        guard id != 0 else { throw .illegalChange("illegal operation: modify the protected keyspace DEFAULT") }
        let isAllowed =
            switch (keyspace.phase, phase) {
            case let (old, new) where old == new: true
            case (.enabled, .disabled), (.disabled, .enabled), (.disabled, .archived), (.archived, .tombstone): true
            default: false
            }
        guard isAllowed else { throw .illegalChange("cannot change keyspace state") }
        guard keyspace.phase != phase else { return keyspace }
        keyspace.phase = phase
        keyspace.changedAt = now
        self.byID[id] = keyspace
        self.changes.append(keyspace)
        return keyspace
    }
}
