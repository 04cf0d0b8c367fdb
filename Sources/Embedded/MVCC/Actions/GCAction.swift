// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension MVCCTxn {
    /// Removes the versions of a key that nobody can see who reads at the safe point or later (tikv
    /// `src/storage/txn/actions/gc.rs`).
    mutating func collectGarbage(_ key: TxnKey, _ reader: MVCCReader, safePoint: UInt64) {
        var next: UInt64? = safePoint
        // A delete at the safe point may go when all that is older has gone.
        var delete: UInt64?
        var removesAll = false
        while let current = next, let found = reader.seekWrite(key, current) {
            next = found.commitTS == 0 ? nil : found.commitTS - 1
            if !removesAll {
                switch found.write.kind {
                case .put:
                    removesAll = true
                    continue
                case .delete:
                    removesAll = true
                    delete = found.commitTS
                    continue
                case .lock, .rollback: break
                }
            }
            self.deleteWrite(key, commitTS: found.commitTS)
            if found.write.kind == .put && found.write.shortValue == nil {
                self.deleteValue(key, startTS: found.write.startTS)
            }
        }
        if let delete { self.deleteWrite(key, commitTS: delete) }
    }
}
