// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD
import TiKVProto

@testable import TiKV

/// What a prewrite says of the protocol by which it is to be committed.
@Suite(.timeLimit(.minutes(1)))
struct PrewriteRequestTests {
    private static let start: UInt64 = 1_000 << 18

    /// - Parameter options: of the transaction; its client connects to nothing.
    private func committer(
        _ options: TransactionOptions, forUpdate: UInt64 = 0, keys: [String] = ["a", "b"]
    ) throws -> Committer {
        let client = try TransactionClient(pd: ["127.0.0.1:1"])
        let plan = CommitPlan(keys.map { Mutation(.put, Array($0.utf8)) })
        return Committer(
            context: client.context, start: Self.start, plan: plan, options: options,
            began: client.context.clock.now, forUpdate: forUpdate)
    }

    private func request(_ committer: Committer, _ keys: [String] = ["a", "b"]) -> Kvrpcpb_PrewriteRequest {
        let mutations = committer.plan.mutations.filter { keys.map { Array($0.utf8) }.contains($0.key) }
        return committer.request(.init(mutations: MutationList(mutations), regionCount: 2))
    }

    private func begin(_ committer: Committer, minimum: UInt64 = 0, maximum: UInt64 = start + (5_000 << 18)) {
        var chosen = CommitProtocol(
            committer.plan.facts(limit: 1_000, keyLimit: 256),
            wantsAsync: committer.options.asyncCommit ?? false,
            wantsOnePhase: committer.options.onePhaseCommit ?? false,
            keyLimit: 256, keySizeLimit: 4_096)
        chosen.begin(minimumCommit: minimum, maximumCommit: maximum)
        committer.progress.set(chosen)
    }

    @Test
    func theLeastCommitTimestampIsTheLatestOfWhatIsKnown() throws {
        let plain = try self.committer(.init(asyncCommit: true), keys: ["a"])
        self.begin(plain)
        #expect(self.request(plain, ["a"]).minCommitTs == Self.start + 1)
        let locking = Self.start + (5 << 18)
        let pessimistic = try self.committer(
            .init(kind: .pessimistic, asyncCommit: true), forUpdate: locking, keys: ["a"])
        self.begin(pessimistic)
        #expect(self.request(pessimistic, ["a"]).minCommitTs == locking + 1)
        let latest = Self.start + (10 << 18)
        self.begin(pessimistic, minimum: latest)
        #expect(self.request(pessimistic, ["a"]).minCommitTs == latest)
    }

    @Test
    func onlyThePrimaryNamesTheOthers() throws {
        let committer = try self.committer(.init(asyncCommit: true))
        self.begin(committer)
        let primary = self.request(committer, ["a"])
        #expect(primary.useAsyncCommit && !primary.tryOnePc)
        #expect(primary.secondaries == [.init("b".utf8)])
        #expect(primary.maxCommitTs == Self.start + (5_000 << 18))
        let secondary = self.request(committer, ["b"])
        #expect(secondary.useAsyncCommit)
        #expect(secondary.secondaries.isEmpty)
        // Nobody takes it for abandoned as long as it may be committed.
        #expect(primary.lockTtl > 5_000)
        #expect(secondary.lockTtl > 5_000)
    }

    @Test
    func eachProtocolIsNamed() throws {
        let both = try self.committer(.init(asyncCommit: true, onePhaseCommit: true))
        self.begin(both)
        #expect(self.request(both).tryOnePc && self.request(both).useAsyncCommit)
        let one = try self.committer(.init(onePhaseCommit: true))
        self.begin(one)
        #expect(self.request(one).tryOnePc && !self.request(one).useAsyncCommit)
        #expect(self.request(one).secondaries.isEmpty)
        // After it fell back nothing is left of it.
        both.progress.change { $0.fallBack() }
        let plain = self.request(both)
        #expect(!plain.tryOnePc && !plain.useAsyncCommit && plain.secondaries.isEmpty && plain.maxCommitTs == 0)
    }
}
