// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a snapshot has read already, absence included. Pure.
struct SnapshotCache: Sendable {
    /// The bytes of keys and values that are kept at most; what comes later is not.
    static let limit = 64 << 20

    private var values: [[UInt8]: [UInt8]?] = [:]
    private(set) var size = 0
    private(set) var hits = 0

    var count: Int { self.values.count }

    /// What was read of a key; nil where it was not read.
    mutating func value(of key: [UInt8]) -> [UInt8]?? {
        guard let value = self.values[key] else { return nil }
        self.hits += 1
        return .some(value)
    }

    mutating func insert(_ value: [UInt8]?, for key: [UInt8]) {
        let added = key.count + (value?.count ?? 0)
        guard self.size + added <= Self.limit, self.values[key] == nil else { return }
        self.values[key] = .some(value)
        self.size += added
    }

    mutating func removeAll() {
        self.values = [:]
        self.size = 0
    }
}
