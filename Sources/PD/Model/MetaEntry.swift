// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// An entry of PD's own small store.
package struct MetaEntry: Sendable, Hashable {
    package var key: [UInt8]
    package var value: [UInt8]
    /// The store's count of changes when the entry was made.
    package var createRevision: Int64
    /// The same when it was changed last.
    package var revision: Int64
    /// How often it was changed since it was made.
    package var version: Int64
}

/// What was found in PD's own small store.
package struct MetaEntries: Sendable, Hashable {
    package var entries: [MetaEntry]
    /// How many there are in all, beyond the limit too.
    package var count: Int
    /// The store's count of changes at that moment: to watch from the next one on misses none.
    package var revision: Int64
}

/// A change in PD's own small store.
package struct MetaChange: Sendable, Hashable {
    package enum Kind: Sendable {
        case put
        case delete
    }

    package var kind: Kind
    /// For a deletion, with the key and revision alone.
    package var entry: MetaEntry
    /// What was there before; nil where nothing was, or that was not asked for.
    package var previous: MetaEntry?
}

/// A piece of configuration that all of the cluster shares.
package struct GlobalConfigItem: Sendable, Hashable {
    package var name: String
    /// Nil for one that is not there, or is to be deleted.
    package var payload: [UInt8]?

    package init(name: String, payload: [UInt8]?) {
        self.name = name
        self.payload = payload
    }
}
