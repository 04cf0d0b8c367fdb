// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a snapshot has read already, absence included. Pure.
struct SnapshotCache: Sendable {
    /// A value that was read.
    struct Found: Sendable, Hashable {
        var value: [UInt8]
        /// When it was committed; 0 where that was not asked for.
        var commit: UInt64
    }

    /// The bytes of keys and values that are kept at most; what comes later is not.
    static let limit = 64 << 20

    private var values: [[UInt8]: Found?] = [:]
    private(set) var size = 0
    private(set) var hits = 0

    var count: Int { self.values.count }

    /// What was read of a key; nil where it was not read.
    ///
    /// - Parameter needsCommit: whether a value without its commit timestamp is of no use.
    mutating func found(_ key: [UInt8], needsCommit: Bool) -> Found?? {
        guard let found = self.values[key] else { return nil }
        if needsCommit, let found, found.commit == 0 { return nil }
        self.hits += 1
        return .some(found)
    }

    /// What is known of a key, without counting it as a hit.
    func peek(_ key: [UInt8]) -> Found?? { self.values[key] }

    mutating func insert(_ found: Found?, for key: [UInt8]) {
        if let before = self.values[key] {
            // The same value; that its commit timestamp is known by now is all that can be new.
            if let found, found.commit != 0, before?.commit == 0 { self.values[key] = .some(found) }
            return
        }
        let added = key.count + (found?.value.count ?? 0)
        guard self.size + added <= Self.limit else { return }
        self.values[key] = .some(found)
        self.size += added
    }

    mutating func removeAll() {
        self.values = [:]
        self.size = 0
    }
}
