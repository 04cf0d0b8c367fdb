// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// The first phase of a commit (tikv `src/storage/txn/commands/prewrite.rs`).
struct PrewriteCommand: Sendable {
    struct Result: Hashable, Sendable {
        /// The locks that are in the way; if there are any, nothing has been written.
        var locks: [MVCCError] = []
        /// The least commit timestamp, where the transaction commits asynchronously; 0 where it has to commit in two
        /// phases.
        var minCommitTS: UInt64 = 0
        /// Not 0 where all is committed already.
        var onePhaseCommitTS: UInt64 = 0
    }

    var mutations: [Mutation]
    var primary: [UInt8]
    var startTS: UInt64
    var lockTTL: UInt64 = 0
    var skipsConstraintCheck = false
    var txnSize: UInt64 = 0
    /// Not 0 in a pessimistic transaction.
    var forUpdateTS: UInt64 = 0
    var minCommitTS: UInt64 = 0
    /// The limit for timestamps that the store makes up; 0 is none.
    var maxCommitTS: UInt64 = 0
    /// All keys but the primary; nil unless the transaction may commit asynchronously.
    var secondaries: [[UInt8]]?
    var triesOnePhase = false
    var assertionLevel = AssertionLevel.off
    var isRetry = false
    var txnSource: UInt64 = 0

    /// From so many mutations on it is worth a look whether there is anything in their range at all.
    private static let rangeCheckThreshold = 12

    func run(_ txn: inout MVCCTxn, _ reader: MVCCReader, maxTS: inout UInt64) throws(MVCCError) -> Result {
        var mutations = self.mutations
        let skipsCheck = self.skipsConstraintCheck || self.hasNoDataInRange(&mutations, reader)
        var properties = self.properties(skipsConstraintCheck: skipsCheck)
        var secondaries = self.secondaries
        var triesOnePhase = self.triesOnePhase
        var result = Result()
        var minCommitTS: UInt64 = 0
        var assertionFailure: MVCCError?

        for mutation in mutations {
            let isPrimary = secondaries?.isEmpty == false && mutation.key.raw == self.primary
            let own = isPrimary ? secondaries : secondaries.map { _ in [] }
            let needsTimestamp = own != nil || triesOnePhase
            var action = PrewriteAction(mutation, properties, secondaries: own)
            var fallsBack = false
            do throws(MVCCError) {
                let timestamp = try action.run(&txn, reader, maxTS: &maxTS)
                if needsTimestamp {
                    // Prewritten earlier, by a request that had to fall back.
                    fallsBack = timestamp == 0
                    minCommitTS = max(minCommitTS, timestamp)
                }
            } catch {
                switch error {
                case .writeConflict(let startTS, _, let conflictCommitTS, _, _, _) where conflictCommitTS > startTS:
                    let commitTS = try Self.committedBefore(mutation.key, &txn, reader, or: error)
                    return Self.result(commitTS, isAsync: secondaries != nil, isOnePhase: triesOnePhase)
                case .pessimisticLockNotFound:
                    let commitTS = try Self.committedBefore(mutation.key, &txn, reader, or: error)
                    return Self.result(commitTS, isAsync: secondaries != nil, isOnePhase: triesOnePhase)
                case .commitTSTooLarge:
                    if let commitTS = try? Self.committedBefore(mutation.key, &txn, reader, or: error) {
                        return Self.result(commitTS, isAsync: secondaries != nil, isOnePhase: triesOnePhase)
                    }
                    fallsBack = true
                case .keyIsLocked:
                    if let commitTS = try? Self.committedBefore(mutation.key, &txn, reader, or: error) {
                        return Self.result(commitTS, isAsync: secondaries != nil, isOnePhase: triesOnePhase)
                    }
                    result.locks.append(error)
                case .assertionFailed:
                    // Any other error says more.
                    if assertionFailure == nil { assertionFailure = error }
                default: throw error
                }
            }
            if fallsBack {
                properties.commitKind = .twoPhase
                secondaries = nil
                triesOnePhase = false
                txn.fallBackFromOnePhase()
                minCommitTS = 0
            }
        }
        if let assertionFailure { throw assertionFailure }
        if secondaries != nil { result.minCommitTS = minCommitTS }
        if !result.locks.isEmpty {
            txn.clear()
        } else if triesOnePhase {
            txn.commitOnePhase(at: minCommitTS)
            result.onePhaseCommitTS = minCommitTS
        }
        return result
    }

    private func properties(skipsConstraintCheck: Bool) -> PrewriteProperties {
        let commitKind: PrewriteProperties.CommitKind =
            if self.triesOnePhase {
                .onePhase(maxCommitTS: self.maxCommitTS)
            } else if self.secondaries != nil {
                .async(maxCommitTS: self.maxCommitTS)
            } else {
                .twoPhase
            }
        return PrewriteProperties(
            startTS: self.startTS, primary: self.primary, lockTTL: self.lockTTL, txnSize: self.txnSize,
            forUpdateTS: self.forUpdateTS, skipsConstraintCheck: skipsConstraintCheck, commitKind: commitKind,
            minCommitTS: self.minCommitTS, isRetry: self.isRetry, assertionLevel: self.assertionLevel,
            txnSource: self.txnSource)
    }

    private func hasNoDataInRange(_ mutations: inout [Mutation], _ reader: MVCCReader) -> Bool {
        guard self.forUpdateTS == 0, mutations.count > Self.rangeCheckThreshold else { return false }
        mutations.sort { KeyOrder.isLess($0.key.encoded, $1.key.encoded) }
        guard let first = mutations.first, let last = mutations.last,
            let found = reader.store.writes.ceiling(first.key.encoded)
        else { return true }
        return KeyOrder.isLess(VersionKey.encode(last.key.encoded, 0), found.key)
    }

    /// A request that comes again after the commit meets what came later, or its own absence. Then it is to succeed.
    ///
    /// - Returns: the commit timestamp.
    static func committedBefore(
        _ key: TxnKey, _ txn: inout MVCCTxn, _ reader: MVCCReader, or error: MVCCError
    ) throws(MVCCError) -> UInt64 {
        guard case .single(let found) = reader.commitRecord(key), found.write.kind != .rollback else { throw error }
        txn.clear()
        return found.commitTS
    }

    private static func result(_ commitTS: UInt64, isAsync: Bool, isOnePhase: Bool) -> Result {
        Result(minCommitTS: isAsync ? commitTS : 0, onePhaseCommitTS: isOnePhase ? commitTS : 0)
    }
}
