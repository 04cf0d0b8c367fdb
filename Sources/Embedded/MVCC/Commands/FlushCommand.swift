// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A part of a pipelined transaction's writes, which it sends before it is at its end (tikv
/// `src/storage/txn/commands/flush.rs`).
struct FlushCommand: Sendable {
    var mutations: [Mutation]
    var primary: [UInt8]
    var startTS: UInt64
    /// Grows from flush to flush; of two flushes of a key the later one counts, in whatever order they come.
    var generation: UInt64
    var lockTTL: UInt64 = 0
    var assertionLevel = AssertionLevel.off
    var isRetry = false
    var txnSource: UInt64 = 0

    /// - Returns: the locks that are in the way. Unlike with prewrite, the other keys are written all the same.
    func run(_ txn: inout MVCCTxn, _ reader: MVCCReader, maxTS: inout UInt64) throws(MVCCError) -> [MVCCError] {
        guard self.generation > 0 else {
            throw .other("generation should be greater than 0 for Flush requests")
        }
        let properties = PrewriteProperties(
            startTS: self.startTS, primary: self.primary, lockTTL: self.lockTTL,
            // How large the transaction will be nobody knows, and nobody shall take it for a small one.
            txnSize: .max, forUpdateTS: 0, skipsConstraintCheck: false, commitKind: .twoPhase,
            minCommitTS: self.startTS.next, isRetry: self.isRetry, assertionLevel: self.assertionLevel,
            txnSource: self.txnSource, generation: self.generation)
        var locks: [MVCCError] = []
        var assertionFailure: MVCCError?
        for mutation in self.mutations {
            do throws(MVCCError) {
                var action = PrewriteAction(mutation, properties, secondaries: nil)
                _ = try action.run(&txn, reader, maxTS: &maxTS)
            } catch {
                switch error {
                case .writeConflict(let startTS, _, let conflictCommitTS, _, _, _) where conflictCommitTS > startTS:
                    _ = try PrewriteCommand.committedBefore(mutation.key, &txn, reader, or: error)
                    return []
                case .keyIsLocked:
                    if (try? PrewriteCommand.committedBefore(mutation.key, &txn, reader, or: error)) != nil {
                        return []
                    }
                    locks.append(error)
                case .assertionFailed:
                    if assertionFailure == nil { assertionFailure = error }
                // A later flush of the key is there already.
                case .generationOutOfOrder: continue
                default: throw error
                }
            }
        }
        if let assertionFailure { throw assertionFailure }
        return locks
    }
}
