// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a transaction left at a key when it was committed or rolled back (tikv `components/txn_types/src/write.rs`).
struct WriteRecord: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case put
        case delete
        case lock
        case rollback
    }

    var kind: Kind
    var startTS: UInt64
    var shortValue: Data?
    /// Of a rollback: it must not be removed to save space, as a late prewrite has to find it.
    var isProtected = false
    /// A protected rollback of the transaction that started at this record's commit timestamp; the two share a place.
    var hasOverlappedRollback = false
    /// Set when the record was rewritten for an overlapped rollback: the commit timestamp of the next version, 0 where there
    /// was none. A reader that finds this record newest in spite of it looks at something that GC has removed.
    var gcFence: UInt64?
    var txnSource: UInt64 = 0

    /// Whether the transaction that started at this record's timestamp is rolled back.
    var marksRollback: Bool { self.kind == .rollback || self.hasOverlappedRollback }

    var isDataVersion: Bool { self.kind == .put || self.kind == .delete }

    /// Whether a record that is the newest at `readTS` is still there.
    func isValid(asLatestAt readTS: UInt64) -> Bool {
        guard let fence = self.gcFence, fence != 0 else { return true }
        return fence > readTS
    }
}

/// A record with the place that it has at its key.
struct VersionedWrite: Hashable, Sendable {
    var commitTS: UInt64
    var write: WriteRecord
}
