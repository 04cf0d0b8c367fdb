// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

/// What all loads have in common: so many tasks that do one operation after the other, the keys that they work on, and the
/// measurement around them.
struct BenchPlan: Sendable {
    enum End: Sendable {
        case elapsed(Duration)
        case count(Int)
    }

    let inFlight: Int
    let keys: Int
    let valueSize: Int
    let batchSize: Int
    let place: BenchRawCommand.Place

    // MARK: - Measuring

    /// Measures an operation until the end. The first one that fails ends the measurement.
    ///
    /// - Parameters:
    ///   - executor: where the tasks run that share the connections' loops.
    ///   - perform: gets a random number below that of the keys, and the worker's.
    func run(
        _ operation: String, keysPerOperation: Int, executor: any TaskExecutor, until end: End,
        perform: @escaping @Sendable (_ index: Int, _ worker: Int) async throws -> Void
    ) async throws -> BenchResult {
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
                group.addTask(executorPreference: self.place == .loop ? executor : nil) {
                    try await self.work(worker, deadline, budget, perform)
                }
            }
            for try await finished in group { latencies.merge(finished) }
        }
        return BenchResult(
            operation: operation, keysPerOperation: keysPerOperation, inFlight: self.inFlight,
            duration: ContinuousClock.now - started, processorTime: ProcessorTime.now() - processorTime,
            latencies: latencies, peakMemory: ProcessMemory.peak())
    }

    private func work(
        _ worker: Int, _ deadline: ContinuousClock.Instant?, _ budget: BenchBudget?,
        _ perform: @Sendable (_ index: Int, _ worker: Int) async throws -> Void
    ) async throws -> LatencyHistogram {
        var random = RandomSequence(seed: worker)
        var latencies = LatencyHistogram()
        var now = ContinuousClock.now
        while deadline.map({ now < $0 }) ?? true, budget?.take() ?? true {
            let index = Int.random(in: 0..<self.keys, using: &random)
            let started = ContinuousClock.now
            try await perform(index, worker)
            now = ContinuousClock.now
            latencies.record(now - started)
        }
        return latencies
    }

    /// Fails where not all are found that were written.
    static func check(_ found: Int, of expected: Int) throws {
        guard found != expected else { return }
        throw CommandFailure("of \(expected) keys that were written, \(found) are there")
    }

    // MARK: - Keys and values

    /// How far the keys of a batch are from each other.
    var step: Int { self.keys / self.batchSize }

    /// Distinct keys from all over, so that every region has some.
    func batch(from index: Int) -> some Collection<Key> {
        (0..<self.batchSize).lazy.map { Self.key((index + $0 * self.step) % self.keys) }
    }

    /// Where a scan of a whole batch may begin.
    func scanStart(_ index: Int) -> Key { Self.key(index % (self.keys - self.batchSize + 1)) }

    var value: Value {
        Value(repeatElement(UInt8(ascii: "v"), count: self.valueSize))
    }

    static func key(_ index: Int) -> Key {
        let digits = String(index)
        return Key("bench/\(String(repeating: "0", count: max(0, 8 - digits.count)))\(digits)")
    }
}
