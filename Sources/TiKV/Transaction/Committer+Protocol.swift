// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVFailpoints
import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Committer {
    // MARK: - Before prewrite

    /// Chooses the protocol, and fetches the timestamp that it may need.
    func chooseProtocol(deadline: Deadline) async throws(TiKVError) {
        let limits = self.asyncCommit
        let facts = self.plan.facts(
            limit: self.batchLimit, keyLimit: limits.keyLimit, isDecidedLate: self.isDecidedLate,
            isLocal: self.options.scope.isLocal)
        var chosen = CommitProtocol(
            facts, wantsAsync: self.options.asyncCommit ?? limits.isEnabled,
            wantsOnePhase: self.options.onePhaseCommit ?? self.context.configuration.onePhaseCommit,
            keyLimit: limits.keyLimit, keySizeLimit: limits.keySizeLimit)
        guard chosen.isActive else { return self.progress.set(chosen) }
        var minimum: UInt64 = 0
        if self.options.guaranteesLinearizability || self.options.commitAfter != nil {
            try await Failpoint.minCommitTSFromTSO.hit()
            // Nobody who has read by now may have missed it.
            minimum = try await self.commitTimestamp(after: self.start, deadline: deadline) &+ 1
        }
        let now = self.timestamp(after: self.began.duration(to: self.clock.now))
        try self.checkAge(max(minimum, now))
        chosen.begin(
            minimumCommit: minimum, maximumCommit: Self.timestamp(now, plus: limits.safeWindow))
        self.progress.set(chosen)
    }

    /// Whether something is looked at when all keys are locked, and may keep the transaction from being committed.
    private var isDecidedLate: Bool {
        self.hooks.decideLate || self.options.assertionLevel.level != .off && self.plan.refuted != nil
    }

    /// What PD's clock is at, by the machine's clock, when so much time has passed since the transaction began.
    private func timestamp(after age: Duration) -> UInt64 {
        Self.timestamp(self.start, plus: age)
    }

    private static func timestamp(_ timestamp: UInt64, plus time: Duration) -> UInt64 {
        let (sum, overflow) = timestamp.addingReportingOverflow(LockTimeToLive.milliseconds(time) << 18)
        return overflow ? .max : sum
    }

    // MARK: - In requests

    /// Tells a store by which protocol its keys are to be locked.
    func apply(_ commitProtocol: CommitProtocol, to request: inout Kvrpcpb_PrewriteRequest, hasPrimary: Bool) {
        request.minCommitTs = max(commitProtocol.minimumCommit, max(self.start, self.forUpdate) &+ 1)
        guard commitProtocol.isActive else { return }
        request.maxCommitTs = commitProtocol.maximumCommit
        request.tryOnePc = commitProtocol.isOnePhase
        if commitProtocol.isAsync {
            request.useAsyncCommit = true
            if hasPrimary {
                request.secondaries = self.plan.mutations.lazyKeys
                    .filter { $0 != self.plan.primary }.map { Data($0) }
            }
        }
        // Whoever finds the lock expired has read at a time above the maximum by then, so that a key which is locked only
        // afterwards makes the transaction fall back, and nobody's verdict is wrong.
        let (latest, start) = (commitProtocol.maximumCommit >> 18, self.start >> 18)
        if latest >= start { request.lockTtl = max(request.lockTtl, latest - start + 1) }
    }

    // MARK: - After prewrite

    /// What prewrite has decided, where it decides.
    ///
    /// - Returns: the commit timestamp; nil where the commit of the primary is to decide.
    func decided(_ state: inout CommitState, deadline: Deadline) async throws(TiKVError) -> UInt64? {
        let kind: CommitDetails.Kind
        let commit: UInt64
        switch self.progress.value.outcome {
        case .twoPhase(let isInDoubt):
            self.recorder.record { $0.kind = .twoPhase }
            guard isInDoubt else { return nil }
            guard let found = try await self.commitOfPrimary(deadline: deadline) else {
                self.progress.change { $0.settled() }
                return nil
            }
            (kind, commit) = (.onePhase, found)
        case .onePhase(let timestamp): (kind, commit) = (.onePhase, timestamp)
        case .async(let timestamp): (kind, commit) = (.async, timestamp)
        }
        state.decidedByPrewrite(at: commit)
        self.recorder.record { $0.kind = kind }
        self.context.commits.add(kind)
        if kind == .async {
            // It is committed, so nothing can fail any more; a test may have it wait.
            _ = try? await Failpoint.beforeCommit.hit()
            if Failpoint.asyncCommitDoNothing.value() == nil {
                self.context.inBackground { await self.commitSecondaries([self.plan.mutations], at: commit) }
            }
        }
        return commit
    }

    /// When the primary was committed; nil where it is not. Changes nothing.
    private func commitOfPrimary(deadline: Deadline) async throws(TiKVError) -> UInt64? {
        var request = Kvrpcpb_CheckTxnStatusRequest()
        request.primaryKey = Data(self.plan.primary)
        request.lockTs = self.start
        request.verifyIsPrimary = true
        let response = try await self.context.sender.send(
            TikvpbTikvRPC.kvCheckTxnStatus, request, key: self.plan.primary,
            timeout: deadline.remaining(at: self.clock.now), isWrite: false, options: self.options.request)
        guard response.hasError else { return response.commitVersion > 0 ? response.commitVersion : nil }
        throw TiKVError(
            .serverError, "the store can't say what became of the transaction", detail: "\(response.error)",
            transaction: TransactionFailure(startTimestamp: self.start))
    }

    /// Prewrite has failed: whether the transaction may be committed all the same.
    ///
    /// Where it is not, a request that came twice might commit it yet, after its failure was told. So the primary is rolled
    /// back first, as far as there is time for it.
    func mayBeCommitted(deadline: Deadline) async -> Bool {
        if self.progress.value.mayBeCommitted { return true }
        let remaining = deadline.remaining(at: self.clock.now)
        guard self.progress.value.needsSeal, remaining > .zero, !Task.isCancelled else { return false }
        var request = Kvrpcpb_BatchRollbackRequest()
        request.startVersion = self.start
        request.keys = [Data(self.plan.primary)]
        let response: Kvrpcpb_BatchRollbackResponse
        do throws(TiKVError) {
            response = try await self.context.sender.send(
                TikvpbTikvRPC.kvBatchRollback, request, key: self.plan.primary, timeout: remaining, isWrite: false,
                options: self.options.request)
        } catch {
            // What the background does next is the same once more.
            return false
        }
        // What a store refuses to roll back is committed.
        return response.hasError
    }
}

extension CommitPlan {
    /// What the choice of a protocol depends on. Of a transaction that is too large for any but two phases no more is looked
    /// at than shows that.
    ///
    /// - Parameters:
    ///   - limit: the bytes of keys and values from which on a request takes no further key.
    ///   - keyLimit: the most keys of an asynchronous commit.
    func facts(
        limit: Int, keyLimit: Int, isDecidedLate: Bool = false, isLocal: Bool = false
    ) -> CommitProtocol.Facts {
        var facts = CommitProtocol.Facts(
            keyCount: self.primary.isEmpty ? 0 : self.mutations.count, keySize: 0, isDecidedLate: isDecidedLate,
            isLocal: isLocal)
        let last = self.mutations.indices.last.map { self.mutations.size(at: $0) }
        facts.fitsOneRequest = self.size - (last ?? 0) < limit
        guard facts.fitsOneRequest || facts.keyCount <= keyLimit else { return facts }
        for place in self.mutations.indices {
            facts.keySize += self.mutations.keySize(at: place)
            let shape = self.mutations.shape(at: place)
            if !shape.leavesLock { facts.locksAll = false }
            if shape.kind == .sharedLock { facts.hasSharedLocks = true }
        }
        return facts
    }
}

extension MutationList {
    /// The keys, made one by one when they are asked for.
    var lazyKeys: some Sequence<[UInt8]> { self.indices.lazy.map { self.key(at: $0) } }
}
