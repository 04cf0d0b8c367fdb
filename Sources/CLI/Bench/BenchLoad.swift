// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

/// One raw operation after the other.
struct BenchLoad: Sendable {
    let operation: BenchRawCommand.Operation
    let plan: BenchPlan

    func fill(_ client: RawClient) async throws {
        var progress = ProgressLine()
        let value = self.plan.value
        for start in stride(from: 0, to: self.plan.keys, by: 512) {
            let batch = (start..<min(start + 512, self.plan.keys)).map { KeyValue(BenchPlan.key($0), value) }
            try await client.batchPut(batch)
            progress.update("\(Readable.count(start)) of \(Readable.count(self.plan.keys)) keys written")
        }
        progress.clear()
    }

    /// The first operation that fails ends the measurement.
    func run(_ client: RawClient, until end: BenchPlan.End) async throws -> BenchResult {
        let value = self.plan.value
        let isSingle = self.operation == .get || self.operation == .put
        return try await self.plan.run(
            "raw \(self.operation.rawValue)", keysPerOperation: isSingle ? 1 : self.plan.batchSize,
            executor: client.executor, until: end
        ) { index, _ in
            try await self.perform(client, index, value)
        }
    }

    private func perform(_ client: RawClient, _ index: Int, _ value: Value) async throws {
        switch self.operation {
        case .get:
            try BenchPlan.check(try await client.get(BenchPlan.key(index)) == nil ? 0 : 1, of: 1)
        case .put:
            try await client.put(BenchPlan.key(index), value: value)
        case .batchGet:
            let keys = Array(self.plan.batch(from: index))
            try BenchPlan.check(try await client.batchGet(keys).count, of: keys.count)
        case .batchPut:
            try await client.batchPut(self.plan.batch(from: index).map { KeyValue($0, value) })
        case .scan:
            var count = 0
            let scan = client.scan(self.plan.scanStart(index)..., limit: self.plan.batchSize)
            for try await _ in scan { count += 1 }
            try BenchPlan.check(count, of: self.plan.batchSize)
        }
    }
}
