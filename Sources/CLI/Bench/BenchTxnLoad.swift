// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

/// One transaction, or one read, after the other.
struct BenchTxnLoad: Sendable {
    let operation: BenchTxnCommand.Operation
    let isPessimistic: Bool
    let commit: BenchTxnCommand.CommitProtocol
    let plan: BenchPlan

    func fill(_ client: TransactionClient) async throws {
        let count: Int
        switch self.operation {
        case .write: return
        case .hot: count = 1
        case .update, .get, .getLatest, .batchGet, .scan: count = self.plan.keys
        }
        var progress = ProgressLine()
        let value = self.plan.value
        for start in stride(from: 0, to: count, by: 10_000) {
            try await client.withTransaction { transaction in
                for index in start..<min(start + 10_000, count) {
                    try await transaction.put(BenchPlan.key(index), value: value)
                }
            }
            progress.update("\(Readable.count(start)) of \(Readable.count(count)) keys written")
        }
        progress.clear()
    }

    /// The first operation that fails ends the measurement.
    func run(_ client: TransactionClient, until end: BenchPlan.End) async throws -> BenchResult {
        let before = client.commitCounts
        var result = try await self.plan.run(
            self.name,
            keysPerOperation: self.keysPerOperation, executor: client.executor, until: end
        ) { index, worker in
            try await self.perform(client, self.index(index, worker))
        }
        // Told with the result, since each transaction falls back where its protocol's conditions are not met.
        result.commits = client.commitCounts.merging(before, uniquingKeysWith: -).filter { $0.value > 0 }
        return result
    }

    private var name: String {
        let parts = ["txn", self.operation.rawValue, self.isPessimistic ? "pessimistic" : nil]
        return (parts + [self.commit == .twoPhase ? nil : self.commit.rawValue]).compactMap(\.self).joined(
            separator: " ")
    }

    /// The fast protocols have optimistic and pessimistic transactions alike.
    private var options: TransactionOptions {
        var options: TransactionOptions = self.isPessimistic ? .pessimistic : .optimistic
        options.asyncCommit = self.commit == .async
        options.onePhaseCommit = self.commit == .onePhase
        return options
    }

    private var keysPerOperation: Int {
        switch self.operation {
        case .write, .batchGet, .scan: self.plan.batchSize
        case .update, .hot, .get, .getLatest: 1
        }
    }

    private func perform(_ client: TransactionClient, _ index: Int) async throws {
        let options = self.options
        switch self.operation {
        case .write:
            let value = self.plan.value
            try await client.withTransaction(options) { transaction in
                for key in self.plan.batch(from: index) { try await transaction.put(key, value: value) }
            }
        case .update:
            try await self.update(client, BenchPlan.key(index), options)
        case .hot:
            try await self.update(client, BenchPlan.key(0), options)
        case .get:
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            try BenchPlan.check(try await snapshot.get(BenchPlan.key(index)) == nil ? 0 : 1, of: 1)
        case .getLatest:
            try BenchPlan.check(try await client.snapshot().get(BenchPlan.key(index)) == nil ? 0 : 1, of: 1)
        case .batchGet:
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            let keys = Array(self.plan.batch(from: index))
            try BenchPlan.check(try await snapshot.batchGet(keys).count, of: keys.count)
        case .scan:
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            var count = 0
            let scan = snapshot.scan(self.plan.scanStart(index)..., limit: self.plan.batchSize)
            for try await _ in scan { count += 1 }
            try BenchPlan.check(count, of: self.plan.batchSize)
        }
    }

    private func update(_ client: TransactionClient, _ key: Key, _ options: TransactionOptions) async throws {
        let value = self.plan.value
        try await client.withTransaction(options) { transaction in
            let found =
                self.isPessimistic ? try await transaction.getForUpdate(key) : try await transaction.get(key)
            try BenchPlan.check(found == nil ? 0 : 1, of: 1)
            try await transaction.put(key, value: value)
        }
    }

    /// Where an operation begins. Writes of many keys have keys that no other worker has, as long as there are enough: what
    /// transactions cost that are in each other's way is what `hot` measures.
    private func index(_ random: Int, _ worker: Int) -> Int {
        guard self.operation == .write, self.plan.batchSize > 1 else { return random }
        return random / self.plan.step * self.plan.step + worker % self.plan.step
    }
}
