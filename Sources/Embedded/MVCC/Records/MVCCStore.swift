// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The transactional data of all stores, in TiKV's three column families. A value: a copy is a snapshot.
struct MVCCStore: Sendable {
    /// By encoded key.
    private(set) var locks = OrderedMap<KeyLock>()
    /// By encoded key and commit timestamp; rollbacks by start timestamp.
    private(set) var writes = OrderedMap<WriteRecord>()
    /// Values that are too long for a lock or write record, by encoded key and start timestamp.
    private(set) var values = OrderedMap<Data>()

    /// The most bytes that a value may have to be kept within its record.
    static let shortValueLimit = 255

    // MARK: - Changing

    enum Change: Sendable {
        case lock(TxnKey, KeyLock?)
        case write(TxnKey, commitTS: UInt64, WriteRecord?)
        case value(TxnKey, startTS: UInt64, Data?)
    }

    mutating func apply(_ change: Change) {
        switch change {
        case .lock(let key, let lock): self.locks[key.encoded] = lock
        case .write(let key, let commitTS, let write):
            self.writes[VersionKey.encode(key.encoded, commitTS)] = write
        case .value(let key, let startTS, let value):
            self.values[VersionKey.encode(key.encoded, startTS)] = value
        }
    }

    /// Removes everything in `start ..< end`, locks and old versions included.
    ///
    /// - Parameters:
    ///   - start: encoded.
    ///   - end: encoded; nil means up to the end.
    mutating func removeAll(from start: [UInt8], to end: [UInt8]?) {
        self.locks.removeAll(from: start, to: end)
        self.writes.removeAll(from: start, to: end)
        self.values.removeAll(from: start, to: end)
    }
}
