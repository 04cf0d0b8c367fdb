// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded
import TiKVWriteBuffer

@testable import TiKV

/// Options of transactions, and the smallest things that are done with them.
@Suite(.timeLimit(.minutes(3)))
struct TransactionOptionTests {
    // MARK: - Commits that come after a timestamp

    /// Commits one key while timestamps for it come from a script, as offsets from the start.
    private func commit(
        _ space: TransactionSpace, after offset: UInt64, patience: Duration? = nil, script: [UInt64]
    ) async throws -> (transaction: Transaction, commit: Timestamp?, error: TiKVError?, fetches: Int) {
        let start = try await space.client.currentTimestamp()
        var options = TransactionOptions(
            startTimestamp: start, commitAfter: Timestamp(rawValue: start.rawValue + offset))
        if let patience { options.commitWaitTimeout = patience }
        let transaction = try await space.begin(options, [("k", "1")])
        let fetches = Shared(0)
        await transaction.takeCommitTimestamps { () async throws(TiKVError) -> UInt64 in
            let index = fetches.withLock { count in
                defer { count += 1 }
                return count
            }
            guard index < script.count else { throw TiKVError(.internalError, "more timestamps than there are") }
            return start.rawValue + script[index]
        }
        let commit = Shared<Timestamp?>(nil)
        let error = await failure {
            let timestamp = try await transaction.commit()
            commit.withLock { $0 = timestamp }
        }
        return (transaction, commit.withLock { $0 }, error, fetches.withLock { $0 })
    }

    @Test
    func commitsWaitForPDsClock() async throws {
        try await TransactionSpace.with { space in
            for (offset, script) in [(1, [100]), (200, [100, 201]), (300, [100, 200, 301])] as [(UInt64, [UInt64])] {
                let result = try await self.commit(space, after: offset, script: script)
                #expect(result.error == nil)
                let start = result.transaction.startTimestamp.rawValue
                #expect(result.commit?.rawValue == start + script[script.count - 1])
                #expect(result.fetches == script.count)
                let wait = await result.transaction.commitDetails?.wait
                guard script.count > 1 else {
                    #expect(wait == nil)
                    continue
                }
                #expect(wait?.retries == script.count - 1)
                #expect(wait?.firstTimestamp.rawValue == start + 100)
                #expect(wait?.target.rawValue == start + offset)
                #expect(wait?.time ?? .zero > .zero)
            }
        }
    }

    @Test
    func commitsDoNotWaitForPDsClockForEver() async throws {
        try await TransactionSpace.with { space in
            let seconds: UInt64 = 10_000 << 18
            for (offset, patience, script, fetches) in [
                (200, .zero, [100], 1), (seconds, nil, [100], 1), (100, .milliseconds(1), [10, 20], 2),
            ] as [(UInt64, Duration?, [UInt64], Int)] {
                let result = try await self.commit(space, after: offset, patience: patience, script: script)
                #expect(result.error?.code == .commitTimestampLag)
                #expect(result.error?.isOutcomeUnknown == false)
                #expect(result.fetches <= fetches)
                #expect(
                    result.transaction.options.commitAfter?.rawValue
                        == result.transaction.startTimestamp.rawValue + offset)
                #expect(await result.transaction.commitDetails?.wait?.target == result.transaction.options.commitAfter)
                #expect(try await space.latest("k") == nil)
            }
        }
    }

    @Test
    func commitsWaitForASecondUnlessTold() async throws {
        try await TransactionSpace.with { space in
            let usual = try await space.client.begin()
            #expect(usual.options.commitWaitTimeout == .seconds(1))
            let patient = try await space.client.begin(TransactionOptions(commitWaitTimeout: .seconds(2)))
            #expect(patient.options.commitWaitTimeout == .seconds(2))
        }
    }

    // MARK: - Locks of optimistic transactions

    @Test(.enabled(if: TestCluster.hasControl, "counts requests"), arguments: [false, true])
    func optimisticLocksSendNothing(isShared: Bool) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.client.begin()
            _ = try await transaction.lock(
                [space.key("k")], options: .init(mode: isShared ? .shared : .exclusive))
            #expect(cluster.requestCount("KvPessimisticLock") == 0)
            let flags = try #require(await transaction.flags(of: space.key("k")))
            #expect(flags.contains(.locked))
            #expect(!flags.contains(.lockedInShareMode))
            #expect(try await transaction.plan().mutations.map(\.kind) == [.lock])
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "counts requests"))
    func pessimisticLocksSendOneRequestAndSetThePrimary() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.client.begin(.pessimistic)
            try await transaction.lock([space.key("k")])
            #expect(cluster.requestCount("KvPessimisticLock") == 1)
            #expect(cluster.lock(of: space.key("k"))?.kind == .pessimistic)
            #expect(await transaction.book.primary == space.key("k").bytes)
            await transaction.rollback()
        }
    }

    // MARK: - The smallest things

    @Test
    func oneKeyIsWrittenReadAndDeleted() async throws {
        try await TransactionSpace.with { space in
            let writer = try await space.begin([("k", "1")])
            try await writer.lock([space.key("k")])
            try await writer.commit()
            #expect(try await space.client.begin().get(space.key("k")) == "1")
            let deleting = try await space.client.begin()
            try await deleting.delete(space.key("k"))
            try await deleting.commit()
            #expect(try await space.client.begin().get(space.key("k")) == nil)
            #expect(try await space.client.begin().get(space.key("never")) == nil)
        }
    }

    @Test
    func aHundredKeysAreWrittenReadAndDeleted() async throws {
        try await TransactionSpace.with { space in
            let names = (0..<100).map { "key\($0)" }
            try await space.write(Dictionary(uniqueKeysWithValues: names.map { ($0, Value($0)) }))
            let reader = try await space.client.begin()
            for name in names { #expect(try await reader.get(space.key(name)) == Value(name)) }
            let deleting = try await space.client.begin()
            for name in names { try await deleting.delete(space.key(name)) }
            try await deleting.commit()
            let empty = try await space.client.begin()
            #expect(try await space.text(empty.scan(space.range)) == [])
        }
    }

    @Test
    func aValueThatIsTooLargeIsNotTaken() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await space.client.begin(
                .init(maximumEntrySize: 1 << 20, maximumSize: 100 << 20))
            let error = await failure {
                try await transaction.put(space.key("k"), value: Value([UInt8](repeating: 1, count: 9 << 20)))
            }
            #expect(error?.code == .entryTooLarge)
            #expect(error?.isRetryable == false)
            #expect(await transaction.keyCount == 0)
            #expect(await transaction.size == 0)
            #expect(try await transaction.commit() == nil)
        }
    }
}
