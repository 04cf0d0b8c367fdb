// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKV
import TiKVEmbedded

/// What `tikv-cli demo` shows of transactions: money that moves between accounts while regions change, a conflict, and a wait
/// for a lock. An account balance that is wrong is an error.
struct TransactionDemo {
    let cluster: EmbeddedCluster
    let client: TransactionClient
    private(set) var log = OperationLog()

    private static let accountCount = 100
    private static let balance = 1_000
    private static let workers = 8
    private static let transfersPerWorker = 60
    private static let prefix = "account/"

    private final class Counter: Sendable {
        private let value = Atomic(0)
        var count: Int { self.value.load(ordering: .relaxed) }

        @discardableResult
        func increment() -> Int { self.value.add(1, ordering: .relaxed).newValue }
    }

    init(cluster: EmbeddedCluster, client: TransactionClient) {
        self.cluster = cluster
        self.client = client
    }

    mutating func run() async throws {
        try await self.openAccounts()
        try await self.transferUnderSplits()
        try await self.retryAConflict()
        try await self.waitForALock()
    }

    private static func account(_ number: Int) -> Key { Key(Self.prefix + String("\(number + 1_000)".dropFirst())) }

    private static func amount(_ value: Value?) -> Int {
        Int(String(decoding: value?.bytes ?? [], as: UTF8.self)) ?? 0
    }

    // MARK: - Transfers

    private mutating func openAccounts() async throws {
        let opened: Void? = await self.log.measure("txn, 100 keys") { [client] in
            try await client.withTransaction { transaction in
                for number in 0..<Self.accountCount {
                    try await transaction.put(Self.account(number), value: Value("\(Self.balance)"))
                }
            }
        }
        guard opened != nil else { return }
        try self.say("accounts", "\(Self.accountCount) accounts of \(Self.balance) each, written by one transaction")
    }

    private mutating func transferUnderSplits() async throws {
        let before = self.cluster.regions.count
        let done = Counter()
        let log = await withTaskGroup(of: OperationLog.self, returning: OperationLog.self) { [cluster, client] group in
            for worker in 0..<Self.workers {
                group.addTask {
                    var random = RandomSequence(seed: worker)
                    var log = OperationLog()
                    for _ in 0..<Self.transfersPerWorker {
                        let from = Int.random(in: 0..<Self.accountCount, using: &random)
                        let to = (from + Int.random(in: 1..<Self.accountCount, using: &random)) % Self.accountCount
                        let amount = Int.random(in: 1...50, using: &random)
                        let kind: TransactionOptions = worker.isMultiple(of: 2) ? .pessimistic : .optimistic
                        await log.measure("transfer") {
                            try await Self.transfer(amount, from: from, to: to, kind, client)
                        }
                        done.increment()
                    }
                    return log
                }
            }
            group.addTask {
                var log = OperationLog()
                // Regions split where the accounts are, and their leaders move, while money does.
                for number in [20, 80, 40, 60, 30, 70] {
                    let version = EmbeddedCluster.APIVersion.v1
                    await log.measure("split") {
                        _ = try cluster.split(at: version.regionKey(forTransactional: Self.account(number).bytes))
                        cluster.scatterLeaders()
                    }
                    await Self.checkTotal(client, &log)
                }
                return log
            }
            var merged = OperationLog()
            for await log in group { merged.merge(log) }
            return merged
        }
        self.log.merge(log)
        let after = self.cluster.regions.count
        try self.say(
            "transfers",
            "\(Readable.count(done.count)) of \(Self.workers) tasks, half of them pessimistic, "
                + "while \(before) → \(after) regions")
        if let total = await Self.checkTotal(self.client, &self.log) {
            try self.say("", "the accounts have \(Readable.count(total)) together, as at every moment in between")
        }
        if after <= before { self.log.complain("split", "there are no more regions than before") }
    }

    private static func transfer(
        _ amount: Int, from: Int, to: Int, _ options: TransactionOptions, _ client: TransactionClient
    ) async throws {
        try await client.withTransaction(options) { transaction in
            // In the order of the keys, so that nobody waits in a circle.
            var balances: [Int: Int] = [:]
            for number in [from, to].sorted() {
                balances[number] = Self.amount(try await transaction.getForUpdate(Self.account(number)))
            }
            for (number, change) in [(from, -amount), (to, amount)] {
                let balance = balances[number, default: 0] + change
                try await transaction.put(Self.account(number), value: Value("\(balance)"))
            }
        }
    }

    /// What all accounts have at one moment; nil where that could not be read.
    @discardableResult
    private static func checkTotal(_ client: TransactionClient, _ log: inout OperationLog) async -> Int? {
        let total = await log.measure("scan, snapshot") {
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            var total = 0
            for try await (_, value) in snapshot.scan(.prefix(Key(Self.prefix))) { total += Self.amount(value) }
            return total
        }
        if let total, total != Self.accountCount * Self.balance {
            log.complain("scan, snapshot", "the accounts have \(total) together")
        }
        return total
    }

    // MARK: - Others in the way

    /// Somebody else writes the key between a transaction's read and its commit.
    private mutating func retryAConflict() async throws {
        let attempts = Counter()
        let key: Key = "counter"
        let result: Value?? = await self.log.measure("conflict") { [client] in
            try await client.withTransaction { transaction in
                let count = Self.amount(try await transaction.get(key))
                if attempts.increment() == 1 {
                    try await client.withTransaction { other in try await other.put(key, value: "41") }
                }
                try await transaction.put(key, value: Value("\(count + 1)"))
            }
            return try await client.snapshot().get(key)
        }
        let tries = attempts.count
        if let result, Self.amount(result) != 42 || tries != 2 {
            self.log.complain("conflict", "\(Self.amount(result)) after \(tries) attempts")
        }
        try self.say("conflict", "another wrote 41 in between; run again, attempt \(tries) counted on to 42")
    }

    /// One transaction has the lock that another one wants, who sees what the first has written.
    private mutating func waitForALock() async throws {
        let key: Key = "lock"
        let seen: Value?? = await self.log.measure("lock wait") { [client, cluster] in
            let holder = try await client.begin(.pessimistic)
            try await holder.put(key, value: "written by the first")
            async let waiter: Value? = client.withTransaction(.pessimistic) { try await $0.getForUpdate(key) }
            try await cluster.waitForLockWaiters(at: key.bytes)
            try await holder.commit()
            return try await waiter
        }
        guard let seen else { return }
        if seen != "written by the first" { self.log.complain("lock wait", "the second did not see the first's write") }
        try self.say("lock wait", "a pessimistic transaction waited for another's lock, and saw what it had written")
    }

    // MARK: - Output

    private func say(_ step: String, _ text: String) throws {
        let padding = String(repeating: " ", count: max(0, 14 - step.count))
        try StandardStream.output.write("  \(step)\(padding)\(text)\n")
    }
}
