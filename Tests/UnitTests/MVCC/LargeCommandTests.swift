// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@testable import TiKVEmbedded

/// What a command remembers of the locks that it has changed.
@Suite struct LargeCommandTests {
    @Test func theLastChangeOfALockCounts() {
        var txn = MVCCTxn(startTS: 5)
        let (a, b) = (TxnKey([1]), TxnKey([2]))
        #expect(txn.pendingLock(a) == nil)
        let first = LockRecord(.init(startTS: 5, primary: [1], ttl: 1))
        let second = LockRecord(.init(startTS: 5, primary: [1], ttl: 2))
        txn.putLock(a, first, isNew: true)
        txn.putLock(a, second, isNew: false)
        #expect(txn.pendingLock(a)??.records.map(\.ttl) == [2])
        #expect(txn.pendingLock(b) == nil)
        txn.unlock(a, commitTS: 9)
        // Known to be gone, which is not the same as unchanged.
        #expect(txn.pendingLock(a) == .some(nil))
        txn.clear()
        #expect(txn.pendingLock(a) == nil)
    }

    /// As many locks as one region of a million keys has: were each looked for among all changes before it, this would take
    /// minutes.
    @Test(.timeLimit(.minutes(1))) func manyLocksAreResolvedTogether() throws {
        var mvcc = MVCCHarness()
        let count = 50_000
        for number in 0..<count {
            mvcc.engine.setLock(
                TxnKey(Array("k\(number)".utf8)),
                .exclusive(LockRecord(.init(startTS: 5, primary: Array("k0".utf8), ttl: 1, value: [1]))))
        }
        let outcome = try mvcc.engine.resolve([5: 10], in: EncodedRange())
        #expect(outcome.released.count == count)
        #expect(mvcc.engine.store.locks.isEmpty)
    }
}
