// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Testing
import TiKVEmbedded

@testable import TiKV

/// What an application does beside its commits, and what it is told of them.
@Suite(.timeLimit(.minutes(3)))
struct CommitHookTests {
    private struct Refusal: Error {}

    // MARK: - Before

    /// It begins with the locking, and the decision waits for it.
    @Test(.enabled(if: TestCluster.hasControl, "holds requests back"), arguments: FastCommit.allCases)
    func whatIsPreparedIsDoneBeforeTheDecision(fast: FastCommit) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let (locking, preparing) = (EmbeddedCluster.Gate(), EmbeddedCluster.Gate())
            cluster.inject(.hold(locking), into: .init(rpc: "KvPrewrite"))
            // What the application does: a request that waits at a gate of its own.
            cluster.inject(.hold(preparing), into: .init(rpc: "KvGet"))
            let transaction = try await space.begin(fast.options(), [("a", "1"), ("b", "1")])
            let primary = Shared<Key?>(nil)
            await transaction.prepareCommit { key in
                primary.withLock { $0 = key }
                _ = try await space.client.snapshot().get(space.key("log"))
            }
            async let commit = transaction.commit()
            try await locking.waitForArrivals()
            try await preparing.waitForArrivals()
            #expect(primary.withLock { $0 } == space.key("a"))
            locking.open()
            try await cluster.wait { $0.lock(of: space.key("b")) != nil }
            #expect(cluster.requestCount("KvCommit") == 0)
            #expect(cluster.commits(of: space.key("a")) == [])
            preparing.open()
            #expect(try await commit != nil)
            #expect(await transaction.commitDetails?.kind == .twoPhase)
            #expect(try await space.latest("b") == "1")
        }
    }

    @Test
    func whatCannotBePreparedIsNotCommitted() async throws {
        try await TransactionSpace.with { space in
            for isOurs in [false, true] {
                let transaction = try await space.begin([("a", "1")])
                await transaction.prepareCommit { _ in
                    throw isOurs ? TiKVError(.serverError, "no log") : Refusal() as any Error
                }
                let error = await failure { try await transaction.commit() }
                #expect(error?.code == (isOurs ? .serverError : .commitRefused))
                #expect(try await space.latest("a") == nil)
                try await space.commit("a", "other")
                let next = try await space.client.begin()
                try await next.delete(space.key("a"))
                try await next.commit()
            }
        }
    }

    // MARK: - After

    @Test(.enabled(if: TestCluster.hasControl, "injects faults"))
    func theEndIsToldHoweverItIs() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let reports = Shared<[CommitReport]>([])
            func watched(_ options: TransactionOptions = .optimistic) async throws -> Transaction {
                let transaction = try await space.begin(options, [("a", "1")])
                await transaction.afterCommit { report in reports.withLock { $0.append(report) } }
                return transaction
            }
            let good = try await watched(.init(asyncCommit: true, scope: .local("bj")))
            let commit = try await good.commit()
            let overtaken = try await watched()
            try await space.commit("a", "2")
            _ = await failure { try await overtaken.commit() }
            let lost = try await watched()
            cluster.inject(.dropAnswer, into: .init(rpc: "KvCommit"), times: nil)
            _ = await failure { try await lost.commit(timeout: .milliseconds(300)) }
            cluster.removeAllFaults()
            let givenUp = try await watched()
            await givenUp.rollback()

            let told = reports.withLock { $0 }
            try #require(told.count == 3)
            #expect(
                told.map(\.startTimestamp) == [good.startTimestamp, overtaken.startTimestamp, lost.startTimestamp])
            #expect(told[0].commitTimestamp == commit)
            #expect(told[0].error == nil)
            // What was asked for, and what came of it.
            #expect(told[0].details.kind == .twoPhase)
            #expect(told[0].scope == .local("bj"))
            #expect(told[1].commitTimestamp == nil)
            #expect(told[1].error?.code == .writeConflict)
            #expect(told[2].commitTimestamp == nil)
            #expect(told[2].error?.code == .undetermined)
        }
    }

    /// Of large commits, and slow ones, the log has the details; of others it has nothing.
    @Test
    func unusualCommitsAreLogged() {
        let lines = Shared<[String]>([])
        let logger = Logger(label: "test") { _ in LineLogHandler(lines: lines) }
        var report = CommitReport(
            startTimestamp: Timestamp(rawValue: 5), commitTimestamp: Timestamp(rawValue: 7), details: .init(),
            scope: .global)
        #expect(!report.details.isNotable)
        report.details.keyCount = 10_001
        #expect(report.details.isNotable)
        report.details.kind = .async
        logger.log(report, session: 42)
        report.details = .init()
        report.details.size = 4 << 20
        #expect(!report.details.isNotable)
        report.details.size += 1
        #expect(report.details.isNotable)
        report.details = .init()
        report.details.slowestCommit = .seconds(60)
        #expect(report.details.isNotable)
        report.error = TiKVError(.writeConflict, "words")
        logger.log(report, session: 0)
        let told = lines.withLock { $0 }
        try? #require(told.count == 2)
        for part in ["debug", "large", "keys=10001", "start=5", "committed=7", "kind=async", "session=42"] {
            #expect(told.first?.contains(part) == true, "\(part)")
        }
        for part in ["info", "slow", "slowest-commit=60", "error=writeConflict"] {
            #expect(told.last?.contains(part) == true, "\(part)")
        }
        #expect(told.last?.contains("session") == false)
    }

    /// What a commit took says whether it was unusual.
    @Test(.enabled(if: TestCluster.hasControl, "watches requests"))
    func whatCommitsTookIsTold() async throws {
        try await TransactionSpace.withControl(splits: ["b"]) { space, cluster in
            let transaction = try await space.begin([("a", "1"), ("b", "1")])
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit"))
            async let commit = transaction.commit()
            try await gate.waitForArrivals()
            gate.open()
            _ = try await commit
            let details = try #require(await transaction.commitDetails)
            #expect(details.keyCount == 2)
            #expect(details.regionCount == 2)
            #expect(details.prewriteCount == 2)
            #expect(details.slowestCommit > .zero)
            #expect(details.slowestCommit <= details.commitTime)
            #expect(details.slowestPrewrite > .zero)
            #expect(details.slowestPrewrite <= details.prewriteTime)
        }
    }

    // MARK: - Memory

    @Test
    func theMemoryOfWritesIsTold() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await space.client.begin()
            let told = Shared<[Int]>([])
            await transaction.observeMemory { bytes in told.withLock { $0.append(bytes) } }
            let before = await transaction.memoryFootprint
            let savepoint = try await transaction.savepoint()
            try await transaction.put(space.key("a"), value: Value([UInt8](repeating: 1, count: 1 << 20)))
            let after = await transaction.memoryFootprint
            #expect(after >= before + (1 << 20))
            #expect(told.withLock { $0.last } == after)
            try await transaction.rollback(to: savepoint)
            let released = await transaction.memoryFootprint
            #expect(released < after)
            #expect(told.withLock { $0.last } == released)
            await transaction.rollback()
        }
    }
}

/// A line of text for each entry.
private struct LineLogHandler: LogHandler {
    let lines: Shared<[String]>
    var metadata = Logger.Metadata()
    var logLevel = Logger.Level.trace

    init(lines: Shared<[String]>) {
        self.lines = lines
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = (event.metadata ?? [:]).map { "\($0.key)=\($0.value)" }.sorted().joined(separator: " ")
        self.lines.withLock { $0.append("\(event.level) \(event.message) \(fields)") }
    }
}
