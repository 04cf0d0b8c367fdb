// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import HistoryChecker
import Testing
import TiKV
import TiKVEmbedded

/// Many transactions at once, looked at as a whole.
@Suite(.timeLimit(.minutes(5)))
struct IsolationTests {
    /// Writers of the same key come one after the other: each begins after the one before it was committed.
    @Test
    func writersOfOneKeyDoNotOverlap() async throws {
        try await TransactionSpace.with { space in
            let spans = Shared<[(start: Timestamp, commit: Timestamp)]>([])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<10 {
                    group.addTask {
                        for round in 0..<50 {
                            while true {
                                let transaction = try await space.client.begin()
                                _ = try await transaction.get(space.key("k"))
                                try await transaction.put(space.key("k"), value: "\(worker)/\(round)")
                                do {
                                    guard let commit = try await transaction.commit() else { break }
                                    spans.withLock { $0.append((transaction.startTimestamp, commit)) }
                                    break
                                } catch let error as TiKVError where error.isRetryable {
                                    continue
                                }
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let sorted = spans.withLock { $0.sorted { $0.start < $1.start } }
            #expect(sorted.count == 500)
            for (first, second) in zip(sorted, sorted.dropFirst()) { #expect(first.commit < second.start) }
        }
    }

    /// Every read sees what was committed last before it began.
    @Test
    func readersSeeTheLastCommitBeforeThem() async throws {
        try await TransactionSpace.with { space in
            let first = try await space.write(["k": "0"])
            let commits = Shared<[Timestamp]>([first])
            let reads = Shared<[(start: Timestamp, value: Int)]>([])
            let isOver = Shared(false)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 1...10 {
                        let commit = try await space.write(["k": "\(number)"])
                        commits.withLock { $0.append(commit) }
                    }
                    isOver.withLock { $0 = true }
                }
                for _ in 0..<10 {
                    group.addTask {
                        while !isOver.withLock({ $0 }) {
                            let transaction = try await space.client.begin()
                            let value: Value?
                            do {
                                value = try await transaction.get(space.key("k"))
                            } catch let error as TiKVError where error.isRetryable {
                                continue
                            }
                            let text = String(decoding: value?.bytes ?? [], as: UTF8.self)
                            reads.withLock { $0.append((transaction.startTimestamp, Int(text) ?? -1)) }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let times = commits.withLock { $0 }
            for (start, value) in reads.withLock({ $0 }) {
                #expect(value == times.lastIndex { $0 <= start })
            }
        }
    }

    /// Money moves and is neither made nor lost, while regions split and leaders move.
    @Test(.enabled(if: TestCluster.hasControl, "changes regions"))
    func transfersKeepTheTotal() async throws {
        try await TransactionSpace.withControl(splits: ["10", "20", "30"]) { space, cluster in
            let accounts = (0..<40).map { ($0 < 10 ? "0" : "") + "\($0)" }
            try await space.write(Dictionary(uniqueKeysWithValues: accounts.map { ($0, Value("100")) }))
            let running = Shared(4)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        defer { running.withLock { $0 -= 1 } }
                        var dice = SystemRandomNumberGenerator()
                        for _ in 0..<25 {
                            let from = space.key(accounts[Int.random(in: 0..<40, using: &dice)])
                            let to = space.key(accounts[Int.random(in: 0..<40, using: &dice)])
                            let amount = Int.random(in: 1...20, using: &dice)
                            let options: TransactionOptions = worker.isMultiple(of: 2) ? .pessimistic : .optimistic
                            try await space.client.withTransaction(options) { transaction in
                                // In the order of the keys, so that nobody waits in a circle.
                                for key in [from, to].sorted() where from != to {
                                    let value = try await transaction.getForUpdate(key)
                                    let balance = Int(String(decoding: value?.bytes ?? [], as: UTF8.self)) ?? 0
                                    let next = key == from ? balance - amount : balance + amount
                                    try await transaction.put(key, value: "\(next)")
                                }
                            }
                        }
                    }
                }
                group.addTask {
                    var number = 0
                    while running.withLock({ $0 > 0 }) {
                        number += 1
                        let name = accounts[number * 7 % 40]
                        _ = try? cluster.split(at: TransactionSpace.encoded(space.key(name).bytes))
                        cluster.scatterLeaders()
                        let snapshot = space.client.snapshot(at: try await space.client.currentTimestamp())
                        var total = 0
                        for try await (_, value) in snapshot.scan(space.range) {
                            total += Int(String(decoding: value.bytes, as: UTF8.self)) ?? 0
                        }
                        #expect(total == 4_000)
                    }
                }
                try await group.waitForAll()
            }
            let snapshot = space.client.snapshot(at: try await space.client.currentTimestamp())
            let values = try await snapshot.batchGet(accounts.map { space.key($0) })
            #expect(values.count == 40)
            let total = values.values.reduce(0) { $0 + (Int(String(decoding: $1.bytes, as: UTF8.self)) ?? 0) }
            #expect(total == 4_000)
        }
    }

    /// Random transactions over lists, checked by what they saw.
    @Test(arguments: 1...3)
    func randomHistoriesAreThoseOfSnapshotIsolation(seed: Int) async throws {
        try await TransactionSpace.with(splits: ["2", "4"]) { space in
            let clock = Shared(0)
            let history = Shared(History())
            await withTaskGroup(of: Void.self) { group in
                for worker in 0..<6 {
                    group.addTask {
                        var dice = Dice(seed: UInt64(seed * 100 + worker))
                        for round in 0..<20 {
                            let id = worker * 1_000 + round
                            let transaction = await self.run(space, id: id, clock, &dice)
                            history.withLock { $0.transactions.append(transaction) }
                        }
                    }
                }
            }
            let recorded = history.withLock { $0 }
            #expect(SnapshotIsolationChecker.violations(of: recorded) == [])
            #expect(recorded.transactions.contains { $0.outcome == .committed && !$0.operations.isEmpty })
        }
    }

    private func run(
        _ space: TransactionSpace, id: Int, _ clock: Shared<Int>, _ dice: inout Dice
    ) async -> History.Transaction {
        let began = clock.withLock { time in
            time += 1
            return time
        }
        var operations: [History.Operation] = []
        var outcome = History.Outcome.aborted
        var commit: Timestamp?
        do {
            let transaction = try await space.client.begin(Bool.random(using: &dice) ? .pessimistic : .optimistic)
            do {
                for step in 0..<Int.random(in: 1...4, using: &dice) {
                    let name = "\(Int.random(in: 0..<6, using: &dice))"
                    let isAppend = Bool.random(using: &dice)
                    // What is appended to must be the latest, or the append would undo others'.
                    let value =
                        isAppend && transaction.options.kind == .pessimistic
                        ? try await transaction.get(space.key(name)) : try await transaction.get(space.key(name))
                    let list = String(decoding: value?.bytes ?? [], as: UTF8.self).split(separator: ",").compactMap {
                        Int($0)
                    }
                    operations.append(.readList(key: name, list))
                    guard isAppend else { continue }
                    let element = id * 10 + step
                    // An optimistic transaction checks at commit that nobody else wrote it; a pessimistic one that locks
                    // it later than it read it must check by itself.
                    if transaction.options.kind == .pessimistic {
                        let latest = try await transaction.getForUpdate(space.key(name))
                        guard latest == value else { throw TiKVError(.writeConflict, "changed since it was read") }
                    }
                    let next = (list + [element]).map { "\($0)" }.joined(separator: ",")
                    try await transaction.put(space.key(name), value: Value(next))
                    operations.append(.append(key: name, element))
                }
                commit = try await transaction.commit()
                outcome = .committed
            } catch {
                await transaction.rollback()
                if let error = error as? TiKVError, error.isOutcomeUnknown { outcome = .unknown }
            }
        } catch {
            outcome = .aborted
        }
        let ended = clock.withLock { time in
            time += 1
            return time
        }
        return History.Transaction(
            id, operations, outcome, commitTimestamp: commit?.rawValue, span: began...ended)
    }
}

/// Random numbers that come again for the same seed.
private struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func next() -> UInt64 {
        self.state ^= self.state << 13
        self.state ^= self.state >> 7
        self.state ^= self.state << 17
        return self.state &* 0x2545_f491_4f6c_dd1d
    }
}
