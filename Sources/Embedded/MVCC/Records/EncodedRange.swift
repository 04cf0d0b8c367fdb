// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// Encoded keys in `start ..< end`; without an end up to the last one.
struct EncodedRange: Hashable, Sendable {
    var start: [UInt8] = []
    var end: [UInt8]?

    /// Everything.
    init() {}

    /// - Parameter end: nil and empty are the end of everything.
    init(start: [UInt8], end: [UInt8]?) {
        self.start = start
        self.end = end.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The range from one raw key to another; empty ones are the ends of everything.
    init(rawStart: [UInt8], rawEnd: [UInt8]) {
        self.init(
            start: rawStart.isEmpty ? [] : MemComparable.encode(rawStart),
            end: rawEnd.isEmpty ? nil : MemComparable.encode(rawEnd))
    }

    func contains(_ key: [UInt8]) -> Bool {
        KeyOrder.compare(self.start, key) <= 0 && (self.end.map { KeyOrder.isLess(key, $0) } ?? true)
    }

    /// The keys that are in both.
    func clamped(start: [UInt8], end: [UInt8]) -> EncodedRange {
        var range = self
        if KeyOrder.isLess(range.start, start) { range.start = start }
        if !end.isEmpty, range.end.map({ KeyOrder.isLess(end, $0) }) ?? true { range.end = end }
        return range
    }
}

extension MVCCStore {
    /// The locks of a range in order.
    func locks(in range: EncodedRange) -> some Sequence<(key: TxnKey, lock: KeyLock)> {
        self.locks.ascending(from: range.start).lazy
            .prefix { entry in range.end.map { KeyOrder.isLess(entry.key, $0) } ?? true }
            .compactMap { entry in TxnKey(encoded: entry.key).map { ($0, entry.value) } }
    }

    /// The records of a range in order, by the keys under which they are stored.
    func writes(in range: EncodedRange) -> some Sequence<(version: [UInt8], write: WriteRecord)> {
        self.writes.ascending(from: range.start).lazy
            .prefix { entry in range.end.map { KeyOrder.isLess(entry.key, $0) } ?? true }
            .map { entry in (entry.key, entry.value) }
    }

    /// The records of a key with their commit timestamps, newest first.
    func versions(_ key: TxnKey) -> [(commitTS: UInt64, write: WriteRecord)] {
        var found: [(commitTS: UInt64, write: WriteRecord)] = []
        for (version, write) in self.writes.ascending(from: VersionKey.encode(key.encoded, .max)) {
            guard VersionKey.isVersion(version, of: key.encoded) else { break }
            found.append((VersionKey.timestamp(version), write))
        }
        return found
    }

    /// The first key at which a transaction left a record, in a range.
    func firstKey(writtenBy startTS: UInt64, in range: EncodedRange) -> TxnKey? {
        for (version, write) in self.writes(in: range) where write.startTS == startTS {
            return TxnKey(encoded: VersionKey.key(version))
        }
        return nil
    }
}

extension KeyLock {
    /// The locks of all transactions that hold it.
    var records: [LockRecord] {
        switch self {
        case .exclusive(let lock): [lock]
        case .shared(let shared): shared.locks
        }
    }
}
