// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

/// Tasks that do one transaction, or one read, after the other, as many tasks as are to be in flight.
struct BenchTxnLoad: Sendable {
    let operation: BenchTxnCommand.Operation
    let isPessimistic: Bool
    let inFlight: Int
    let keys: Int
    let valueSize: Int
    let batchSize: Int
    let place: BenchRawCommand.Place

    func fill(_ client: TransactionClient) async throws {
        let count: Int
        switch self.operation {
        case .write: return
        case .hot: count = 1
        case .update, .get, .getLatest, .batchGet, .scan: count = self.keys
        }
        var progress = ProgressLine()
        let value = self.value
        for start in stride(from: 0, to: count, by: 10_000) {
            try await client.withTransaction { transaction in
                for index in start..<min(start + 10_000, count) {
                    try await transaction.put(Self.key(index), value: value)
                }
            }
            progress.update("\(Readable.count(start)) of \(Readable.count(count)) keys written")
        }
        progress.clear()
    }

    /// The first operation that fails ends the measurement.
    func run(_ client: TransactionClient, until end: BenchLoad.End) async throws -> BenchResult {
        let started = ContinuousClock.now
        let processorTime = ProcessorTime.now()
        let deadline: ContinuousClock.Instant?
        let budget: BenchBudget?
        switch end {
        case .elapsed(let duration): (deadline, budget) = (started + duration, nil)
        case .count(let count): (deadline, budget) = (nil, BenchBudget(count))
        }
        var latencies = LatencyHistogram()
        try await withThrowingTaskGroup(of: LatencyHistogram.self) { group in
            for worker in 0..<self.inFlight {
                let executor: (any TaskExecutor)? = self.place == .loop ? client.executor : nil
                group.addTask(executorPreference: executor) {
                    try await self.work(client, worker, deadline, budget)
                }
            }
            for try await finished in group { latencies.merge(finished) }
        }
        return BenchResult(
            operation: "txn \(self.operation.rawValue)\(self.isPessimistic ? " pessimistic" : "")",
            keysPerOperation: self.keysPerOperation, inFlight: self.inFlight,
            duration: ContinuousClock.now - started, processorTime: ProcessorTime.now() - processorTime,
            latencies: latencies, peakMemory: ProcessMemory.peak())
    }

    private var keysPerOperation: Int {
        switch self.operation {
        case .write, .batchGet, .scan: self.batchSize
        case .update, .hot, .get, .getLatest: 1
        }
    }

    private func work(
        _ client: TransactionClient, _ worker: Int, _ deadline: ContinuousClock.Instant?, _ budget: BenchBudget?
    ) async throws -> LatencyHistogram {
        var random = RandomSequence(seed: worker)
        var latencies = LatencyHistogram()
        var now = ContinuousClock.now
        while deadline.map({ now < $0 }) ?? true, budget?.take() ?? true {
            let index = self.index(Int.random(in: 0..<self.keys, using: &random), worker)
            let started = ContinuousClock.now
            try await self.perform(client, index)
            now = ContinuousClock.now
            latencies.record(now - started)
        }
        return latencies
    }

    private func perform(_ client: TransactionClient, _ index: Int) async throws {
        let options: TransactionOptions = self.isPessimistic ? .pessimistic : .optimistic
        let value = self.value
        switch self.operation {
        case .write:
            try await client.withTransaction(options) { transaction in
                for key in self.batch(from: index) { try await transaction.put(key, value: value) }
            }
        case .update:
            try await self.update(client, Self.key(index), options)
        case .hot:
            try await self.update(client, Self.key(0), options)
        case .get:
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            try Self.check(try await snapshot.get(Self.key(index)) == nil ? 0 : 1, of: 1)
        case .getLatest:
            try Self.check(try await client.snapshot().get(Self.key(index)) == nil ? 0 : 1, of: 1)
        case .batchGet:
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            let keys = Array(self.batch(from: index))
            try Self.check(try await snapshot.batchGet(keys).count, of: keys.count)
        case .scan:
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            let start = index % (self.keys - self.batchSize + 1)
            var count = 0
            for try await _ in snapshot.scan(Self.key(start)..., limit: self.batchSize) { count += 1 }
            try Self.check(count, of: self.batchSize)
        }
    }

    private func update(_ client: TransactionClient, _ key: Key, _ options: TransactionOptions) async throws {
        let value = self.value
        try await client.withTransaction(options) { transaction in
            let found =
                self.isPessimistic ? try await transaction.getForUpdate(key) : try await transaction.get(key)
            try Self.check(found == nil ? 0 : 1, of: 1)
            try await transaction.put(key, value: value)
        }
    }

    /// Where an operation begins. Writes of many keys have keys that no other worker has, as long as there are enough: what
    /// transactions cost that are in each other's way is what `hot` measures.
    private func index(_ random: Int, _ worker: Int) -> Int {
        let step = self.keys / self.batchSize
        guard self.operation == .write, self.batchSize > 1 else { return random }
        return random / step * step + worker % step
    }

    /// Distinct keys from all over, so that every region has some.
    private func batch(from index: Int) -> some Sequence<Key> {
        let step = self.keys / self.batchSize
        return (0..<self.batchSize).lazy.map { Self.key((index + $0 * step) % self.keys) }
    }

    private static func check(_ found: Int, of expected: Int) throws {
        guard found != expected else { return }
        throw CommandFailure("of \(expected) keys that were written, \(found) are there")
    }

    private var value: Value {
        Value(repeatElement(UInt8(ascii: "v"), count: self.valueSize))
    }

    private static func key(_ index: Int) -> Key {
        let digits = String(index)
        return Key("bench/\(String(repeating: "0", count: max(0, 8 - digits.count)))\(digits)")
    }
}
