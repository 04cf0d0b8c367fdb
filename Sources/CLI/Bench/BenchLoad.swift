// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

/// Tasks that do one operation after the other, as many tasks as operations are to be in flight.
struct BenchLoad: Sendable {
    let operation: BenchRawCommand.Operation
    let inFlight: Int
    let keys: Int
    let valueSize: Int
    let batchSize: Int
    let place: BenchRawCommand.Place

    enum End: Sendable {
        case elapsed(Duration)
        case count(Int)
    }

    func fill(_ client: RawClient) async throws {
        var progress = ProgressLine()
        let value = self.value
        for start in stride(from: 0, to: self.keys, by: 512) {
            let batch = (start..<min(start + 512, self.keys)).map { KeyValue(Self.key($0), value) }
            try await client.batchPut(batch)
            progress.update("\(Readable.count(start)) of \(Readable.count(self.keys)) keys written")
        }
        progress.clear()
    }

    /// The first operation that fails ends the measurement.
    func run(_ client: RawClient, until end: End) async throws -> BenchResult {
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
            for try await finished in group {
                latencies.merge(finished)
            }
        }
        return BenchResult(
            operation: "raw \(self.operation.rawValue)",
            keysPerOperation: self.operation == .get || self.operation == .put ? 1 : self.batchSize,
            inFlight: self.inFlight,
            duration: ContinuousClock.now - started,
            processorTime: ProcessorTime.now() - processorTime,
            latencies: latencies,
            peakMemory: ProcessMemory.peak()
        )
    }

    private func work(
        _ client: RawClient,
        _ worker: Int,
        _ deadline: ContinuousClock.Instant?,
        _ budget: BenchBudget?
    ) async throws -> LatencyHistogram {
        var random = RandomSequence(seed: worker)
        var latencies = LatencyHistogram()
        let value = self.value
        var now = ContinuousClock.now
        while deadline.map({ now < $0 }) ?? true, budget?.take() ?? true {
            let index = Int.random(in: 0..<self.keys, using: &random)
            let batch = self.isBatch ? self.batch(from: index) : []
            let started = ContinuousClock.now
            switch self.operation {
            case .get:
                try Self.check(try await client.get(Self.key(index)) == nil ? 0 : 1, of: 1)
            case .put:
                try await client.put(Self.key(index), value: value)
            case .batchGet:
                try Self.check(try await client.batchGet(batch).count, of: batch.count)
            case .batchPut:
                try await client.batchPut(batch.lazy.map { KeyValue($0, value) })
            case .scan:
                let start = index % (self.keys - self.batchSize + 1)
                var count = 0
                for try await _ in client.scan(Self.key(start)..., limit: self.batchSize) { count += 1 }
                try Self.check(count, of: self.batchSize)
            }
            now = ContinuousClock.now
            latencies.record(now - started)
        }
        return latencies
    }

    private var isBatch: Bool { self.operation == .batchGet || self.operation == .batchPut }

    /// Distinct keys from all over, so that every region has some.
    private func batch(from index: Int) -> [Key] {
        let step = self.keys / self.batchSize
        return (0..<self.batchSize).map { Self.key((index + $0 * step) % self.keys) }
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
