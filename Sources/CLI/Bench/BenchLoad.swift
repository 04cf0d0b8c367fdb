// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKV

/// Tasks that do one operation after the other, as many tasks as operations are to be in flight.
struct BenchLoad: Sendable {
    let operation: BenchRawCommand.Operation
    let inFlight: Int
    let keys: Int
    let valueSize: Int

    enum End: Sendable {
        case elapsed(Duration)
        case count(Int)
    }

    /// How many operations may still begin, when their number ends the measurement.
    private final class Budget: Sendable {
        private let left: Atomic<Int>

        init(_ count: Int) {
            self.left = Atomic(count)
        }

        func take() -> Bool {
            self.left.subtract(1, ordering: .relaxed).newValue >= 0
        }
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
        let budget: Budget?
        switch end {
        case .elapsed(let duration): (deadline, budget) = (started + duration, nil)
        case .count(let count): (deadline, budget) = (nil, Budget(count))
        }
        var latencies = LatencyHistogram()
        try await withThrowingTaskGroup(of: LatencyHistogram.self) { group in
            for worker in 0..<self.inFlight {
                group.addTask { try await self.work(client, worker, deadline, budget) }
            }
            for try await finished in group {
                latencies.merge(finished)
            }
        }
        return BenchResult(
            operation: self.operation.rawValue,
            inFlight: self.inFlight,
            duration: ContinuousClock.now - started,
            processorTime: ProcessorTime.now() - processorTime,
            latencies: latencies
        )
    }

    private func work(
        _ client: RawClient,
        _ worker: Int,
        _ deadline: ContinuousClock.Instant?,
        _ budget: Budget?
    ) async throws -> LatencyHistogram {
        var random = RandomSequence(seed: worker)
        var latencies = LatencyHistogram()
        let value = self.value
        var now = ContinuousClock.now
        while deadline.map({ now < $0 }) ?? true, budget?.take() ?? true {
            let key = Self.key(Int.random(in: 0..<self.keys, using: &random))
            let started = ContinuousClock.now
            switch self.operation {
            case .get:
                guard try await client.get(key) != nil else {
                    throw CommandFailure(
                        "a key that was written is not there: \(ByteNotation.text.describe(key.bytes))")
                }
            case .put:
                try await client.put(key, value: value)
            }
            now = ContinuousClock.now
            latencies.record(now - started)
        }
        return latencies
    }

    private var value: Value {
        Value(repeatElement(UInt8(ascii: "v"), count: self.valueSize))
    }

    private static func key(_ index: Int) -> Key {
        let digits = String(index)
        return Key("bench/\(String(repeating: "0", count: max(0, 8 - digits.count)))\(digits)")
    }
}
