// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A value of the raw API.
struct RawValue: Sendable {
    /// As protobuf hands it over and takes it back, so that a value is never copied in between.
    var bytes: Data
    /// Unix time in seconds from which on the entry does not exist; nil means for ever.
    var expiresAt: UInt64?

    func isLive(at now: UInt64) -> Bool {
        self.expiresAt.map { $0 > now } ?? true
    }
}

/// The data of all stores: a sorted map for each column family.
///
/// Times are passed in. Entries that have expired are invisible at once and stay until they are overwritten or deleted.
struct RawEngine: Sendable {
    typealias Entries = OrderedMap<RawValue>

    private var families = [Entries](repeating: Entries(), count: ColumnFamily.allCases.count)

    // MARK: - Reading

    /// A snapshot of one family; later writes do not touch it.
    func entries(_ family: ColumnFamily) -> Entries {
        self.families[family.rawValue]
    }

    func get(_ key: [UInt8], in family: ColumnFamily, now: UInt64) -> Data? {
        guard let value = self.families[family.rawValue][key], value.isLive(at: now) else { return nil }
        return value.bytes
    }

    /// The seconds that a key has left, 0 where it does not expire; nil where there is no such key.
    func timeToLive(_ key: [UInt8], in family: ColumnFamily, now: UInt64) -> UInt64? {
        guard let value = self.families[family.rawValue][key], value.isLive(at: now) else { return nil }
        return value.expiresAt.map { $0 - now } ?? 0
    }

    // MARK: - Writing

    /// - Parameter ttl: seconds from `now` on; 0 means for ever.
    mutating func put(_ key: [UInt8], _ bytes: Data, ttl: UInt64, in family: ColumnFamily, now: UInt64) {
        let (end, overflow) = now.addingReportingOverflow(ttl)
        let expiresAt = ttl == 0 ? nil : overflow ? UInt64.max : end
        self.families[family.rawValue][key] = RawValue(bytes: bytes, expiresAt: expiresAt)
    }

    mutating func delete(_ key: [UInt8], in family: ColumnFamily) {
        self.families[family.rawValue].removeValue(forKey: key)
    }

    /// - Parameter end: exclusive; nil means up to the end.
    mutating func deleteRange(from start: [UInt8], to end: [UInt8]?, in family: ColumnFamily) {
        self.families[family.rawValue].removeAll(from: start, to: end)
    }

    /// Writes, or deletes, where the current value is the expected one; no value is a value here.
    ///
    /// - Parameter value: nil deletes.
    /// - Returns: the value that was found, and whether it was the expected one.
    mutating func compareAndSwap(
        _ key: [UInt8], expected: Data?, value: Data?, ttl: UInt64, in family: ColumnFamily, now: UInt64
    ) -> (previous: Data?, succeeded: Bool) {
        let previous = self.get(key, in: family, now: now)
        guard previous == expected else { return (previous, false) }
        if let value {
            self.put(key, value, ttl: ttl, in: family, now: now)
        } else {
            self.delete(key, in: family)
        }
        return (previous, true)
    }
}
