// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// By which protocol a transaction commits, and what is known of that while its keys are being locked. Pure.
///
/// In two phases the commit of the primary decides. Asynchronously, the transaction is committed as soon as each of its keys
/// has a lock that says so; in one phase, when the one request that has all of its keys has been carried out. So with these
/// two it is prewrite that decides, and a prewrite without an answer leaves the outcome open: unless one of the keys is
/// known to have no such lock, the transaction may be committed.
struct CommitProtocol: Sendable {
    /// What the choice of the protocol depends on.
    struct Facts: Sendable, Hashable {
        /// The keys, and their bytes without the values.
        var keyCount: Int
        var keySize: Int
        /// Whether each key leaves a lock: one that does not can't be looked up by those who find out the outcome.
        var locksAll = true
        var hasSharedLocks = false
        /// Whether one request can carry all of it.
        var fitsOneRequest = true
        /// Whether somebody has a say when all keys are locked: then it can't be committed by then.
        var isDecidedLate = false
        /// Whether its timestamps are those of one data centre, which stores can't make up.
        var isLocal = false
    }

    /// How all of it went.
    enum Outcome: Sendable, Hashable {
        /// The commit of the primary is to decide. `isInDoubt`: unless the transaction was committed in one phase before its
        /// keys had to go to several regions, by a request whose answer was lost.
        case twoPhase(isInDoubt: Bool)
        /// It is committed, and its locks are to be made versions.
        case async(UInt64)
        /// It is committed, without a lock.
        case onePhase(UInt64)
    }

    private(set) var isAsync = false
    private(set) var isOnePhase = false
    /// The least timestamp that it may be committed at, and after prewrite the one that it is committed at.
    private(set) var minimumCommit: UInt64 = 0
    /// No store may make up a later commit timestamp: it makes the transaction one of two phases instead.
    private(set) var maximumCommit: UInt64 = 0
    private let keyCount: Int
    /// The keys that are locked, or may be.
    private var reached: Set<[UInt8]> = []
    private var onePhaseCommit: UInt64 = 0
    private var isOnePhaseInDoubt = false
    /// A store has said that a key will never be locked.
    private var isRefused = false
    private var wasSent = false

    /// Commits in two phases.
    init() {
        self.keyCount = 0
    }

    /// - Parameters:
    ///   - keyLimit: the most keys that a transaction may have which commits asynchronously.
    ///   - keySizeLimit: the most bytes that they may have together.
    init(_ facts: Facts, wantsAsync: Bool, wantsOnePhase: Bool, keyLimit: Int, keySizeLimit: Int) {
        self.keyCount = facts.keyCount
        guard facts.keyCount > 0, !facts.hasSharedLocks, !facts.isDecidedLate, !facts.isLocal else { return }
        self.isAsync =
            wantsAsync && facts.locksAll && facts.keyCount <= keyLimit && facts.keySize <= keySizeLimit
        self.isOnePhase = wantsOnePhase && facts.fitsOneRequest
    }

    /// Whether prewrite decides.
    var isActive: Bool { self.isAsync || self.isOnePhase }

    // MARK: - Beginning

    /// Prewrite is about to begin.
    ///
    /// - Parameters:
    ///   - minimum: later than what any reader may have seen, or 0 where that does not matter.
    ///   - maximum: see `maximumCommit`.
    mutating func begin(minimumCommit minimum: UInt64, maximumCommit maximum: UInt64) {
        guard self.isActive else { return }
        // Every store would refuse.
        guard minimum <= maximum else { return self.fallBack() }
        self.minimumCommit = minimum
        self.maximumCommit = maximum
    }

    // MARK: - While keys are locked

    /// A request is about to be sent.
    mutating func sends() {
        if self.isActive { self.wasSent = true }
    }

    /// The keys have to go in several requests.
    mutating func cut() {
        guard self.isOnePhase else { return }
        self.isOnePhase = false
        // A store that has committed it says so by the timestamp of each of its locks; one that is asked for plain locks does
        // not.
        if !self.isAsync { self.isOnePhaseInDoubt = !self.reached.isEmpty }
    }

    /// A request has failed, or must be routed anew, and may have been carried out before.
    mutating func mayHaveLocked(_ keys: some Sequence<[UInt8]>) {
        guard self.isActive else { return }
        self.reached.formUnion(keys)
    }

    /// A store has locked keys.
    mutating func locked(_ keys: some Sequence<[UInt8]>, minimumCommit: UInt64, onePhaseCommit: UInt64) {
        if self.isOnePhase {
            guard onePhaseCommit > 0 else { return self.fallBack() }
            self.onePhaseCommit = onePhaseCommit
        } else if self.isAsync {
            guard minimumCommit > 0 else { return self.fallBack() }
            self.minimumCommit = max(self.minimumCommit, minimumCommit)
        }
        self.mayHaveLocked(keys)
    }

    /// A store has refused to lock a key, for good.
    mutating func refused() {
        self.isRefused = true
    }

    /// A key has, or will have, a lock that leaves the decision to the primary. So nothing else has decided.
    mutating func fallBack() {
        self.isAsync = false
        self.isOnePhase = false
        self.isOnePhaseInDoubt = false
        self.reached = []
    }

    // MARK: - Afterwards

    /// All keys are locked.
    var outcome: Outcome {
        if self.isOnePhase { return .onePhase(self.onePhaseCommit) }
        return self.isAsync ? .async(self.minimumCommit) : .twoPhase(isInDoubt: self.isOnePhaseInDoubt)
    }

    /// The doubt is settled: it was not committed in one phase.
    mutating func settled() {
        self.isOnePhaseInDoubt = false
    }

    /// Prewrite has failed: whether the transaction may be committed all the same.
    var mayBeCommitted: Bool {
        guard !self.isRefused else { return false }
        return self.isOnePhaseInDoubt || self.isActive && self.reached.count == self.keyCount
    }

    /// Prewrite has failed, and the transaction is not committed: whether a request that came twice might commit it yet, so
    /// that the primary is to be rolled back before anybody is told.
    var needsSeal: Bool { self.isActive && self.wasSent && !self.isRefused }
}
