// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVPD

/// What PD is asked where garbage collection is: PD itself, or a stand-in in tests.
protocol SafePointStore: Sendable {
    /// The transactions' safe point of a keyspace; nil is all that have none of their own.
    func txnSafePoint(keyspaceID: UInt32?, deadline: Deadline) async throws(PDError) -> UInt64
    /// The value of an entry of PD's own small store; nil where there is none.
    func entry(_ key: String, deadline: Deadline) async throws(PDError) -> [UInt8]?
}

extension PDClient: SafePointStore {
    nonisolated func txnSafePoint(keyspaceID: UInt32?, deadline: Deadline) async throws(PDError) -> UInt64 {
        try await self.gcState(keyspaceID: keyspaceID, includingBarriers: false, deadline: deadline)
            .txnSafePoint.rawValue
    }

    nonisolated func entry(_ key: String, deadline: Deadline) async throws(PDError) -> [UInt8]? {
        try await self.metaEntries(Array(key.utf8), deadline: deadline).entries.first?.value
    }
}

/// Loads the transactions' safe point: from PD's states of garbage collection, and where PD does not know these, from the
/// entry in which older clusters keep it.
final class SafePointLoader: Sendable {
    private let store: any SafePointStore
    /// Whether PD has no states of garbage collection.
    private let isOld = Atomic(false)

    init(store: any SafePointStore) {
        self.store = store
    }

    /// - Parameters:
    ///   - keyspaceID: nil without one.
    ///   - hasOwnGC: whether the keyspace's garbage is collected apart from that of others; asked where that matters.
    func load(
        keyspaceID: UInt32?, deadline: Deadline, hasOwnGC: () async throws(PDError) -> Bool
    ) async throws(PDError) -> UInt64 {
        if !self.isOld.load(ordering: .relaxed) {
            do throws(PDError) {
                return try await self.store.txnSafePoint(keyspaceID: keyspaceID, deadline: deadline)
            } catch {
                guard error.code == .unimplemented else { throw error }
                self.isOld.store(true, ordering: .relaxed)
            }
        }
        var own: UInt32?
        if let keyspaceID, try await hasOwnGC() { own = keyspaceID }
        let key = Self.entry(keyspaceID: own)
        let value = try await self.store.entry(key, deadline: deadline)
        guard let safePoint = Self.parse(value) else {
            throw PDError(.server, "the entry that should hold the safe point does not", detail: key)
        }
        return safePoint
    }

    /// The entry of older clusters, which is of a keyspace where that is collected by itself.
    static func entry(keyspaceID: UInt32?) -> String {
        let entry = "/tidb/store/gcworker/saved_safe_point"
        return keyspaceID.map { "/keyspaces/tidb/\($0)\(entry)" } ?? entry
    }

    /// What an entry says; no entry, and an empty one, say 0.
    ///
    /// - Returns: nil where it is no number of 64 bits.
    static func parse(_ value: [UInt8]?) -> UInt64? {
        guard let value, !value.isEmpty else { return 0 }
        guard value.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt64(String(decoding: value, as: UTF8.self))
    }
}
