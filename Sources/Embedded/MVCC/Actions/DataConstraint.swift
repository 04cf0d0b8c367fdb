// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension MVCCReader {
    /// Refuses a key that exists, for those who want it not to (tikv `src/storage/txn/actions/check_data_constraint.rs`).
    ///
    /// - Parameter found: the newest record of the key.
    func checkNotExisting(_ key: TxnKey, _ found: VersionedWrite) throws(MVCCError) {
        // The newest record with a fence before something newer has been removed by GC.
        if found.write.kind == .delete || (found.write.gcFence ?? 0) != 0 { return }
        let existing: UInt64?
        if found.write.kind == .put {
            existing = found.write.startTS
        } else if found.commitTS > 0 {
            existing = self.latestPut(key, at: found.commitTS - 1)?.write.startTS
        } else {
            existing = nil
        }
        if let existing { throw .alreadyExist(key: key.raw, existingStartTS: existing) }
    }
}
