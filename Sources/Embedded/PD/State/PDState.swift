// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// All that PD keeps beside regions and stores. What its members agree on is the same for all of them at once.
struct PDState: Sendable {
    var members = PDMembers()
    var keyspaces = KeyspaceTable()
    var gc = GCTable()
    var meta = MetaTable()
    var resourceGroups = ResourceGroupTable()
    var buckets: [UInt64: RegionBuckets] = [:]
    var operators: [UInt64: RegionOperatorState] = [:]
    /// The timestamp set from outside for reads of the past.
    var externalTimestamp: UInt64 = 0
    /// What a test says how far stores are, in place of the present.
    var resolvedTimestamps = ResolvedTimestamps()
    /// The servers that hand out timestamps in PD's place, and which of them does; none where PD does it itself.
    var timestampServers: [String] = []
    var timestampPrimary = 0
}

/// The parts of a region.
struct RegionBuckets: Sendable {
    var version: UInt64
    /// Where they meet, without the region's own bounds.
    var keys: [[UInt8]]
}

/// What PD did to a region last.
enum RegionOperatorState: Sendable {
    case finished
    case running
}

/// How far stores say they are with what they have seen committed.
struct ResolvedTimestamps: Sendable {
    /// What PD says of the cluster; nil is 0, by which PD says that it doesn't know.
    var cluster: UInt64?
    /// What PD says of a store; nil is 0.
    var stores: [UInt64: UInt64] = [:]
}
