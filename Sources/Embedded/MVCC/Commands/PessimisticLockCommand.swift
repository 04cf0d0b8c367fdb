// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A request for pessimistic locks (tikv `src/storage/txn/commands/acquire_pessimistic_lock.rs`).
struct PessimisticLockCommand: Sendable {
    struct Item: Sendable {
        var key: TxnKey
        var mustNotExist = false
        var isShared = false
    }

    enum Result: Sendable {
        case locked([PessimisticLockKeyResult])
        /// One of the keys is locked by somebody else. None of them has been locked.
        case blocked(Item, LockDescription)
        /// The same, but there is nothing to wait for: the client has to come again.
        case refused(LockDescription)
    }

    var items: [Item]
    var parameters: PessimisticLockParameters

    func run(_ txn: inout MVCCTxn, _ reader: MVCCReader, maxTS: inout UInt64) throws(MVCCError) -> Result {
        if self.parameters.allowsConflict && self.items.count > 1 {
            throw .other(
                "multiple keys in a single request with allowed_lock_with_conflict set is not allowed")
        }
        var results: [PessimisticLockKeyResult] = []
        for item in self.items {
            let action = PessimisticLockAction(
                parameters: self.parameters, key: item.key, mustNotExist: item.mustNotExist, isShared: item.isShared)
            do throws(MVCCError) {
                results.append(try action.run(&txn, reader, maxTS: &maxTS))
            } catch {
                txn.clear()
                switch error {
                case .keyIsLocked(let lock): return .blocked(item, lock)
                case .notInShrinkMode(var shared):
                    // Without this, those who share the key could go on for ever.
                    shared.isShrinkOnly = true
                    txn.putLock(item.key, .shared(shared), isNew: false)
                    return .refused(LockDescription(item.key, .shared(shared)))
                default: throw error
                }
            }
        }
        return .locked(results)
    }
}
