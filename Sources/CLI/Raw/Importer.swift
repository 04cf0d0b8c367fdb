// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

/// Puts records batch by batch, several batches at once.
struct Importer {
    var batchSize = 256
    var inFlight = 8

    struct Outcome {
        var records = 0
        var bytes = 0
        var duration: Duration = .zero
        /// One entry for each batch.
        var latencies = LatencyHistogram()

        var summary: String {
            let rate = Readable.rate(self.records, in: self.duration)
            return "\(Readable.count(self.records)) records (\(Readable.bytes(self.bytes))) in "
                + "\(Readable.duration(self.duration)), \(rate)"
        }
    }

    private struct Batch: Sendable {
        var records: [RecordReader.Record] = []
        var bytes: Int { self.records.reduce(0) { $0 + $1.key.count + $1.value.count } }
    }

    /// Returns when all records are in. A line that is no record ends the import once the records before it are in.
    func run(_ records: consuming RecordReader, into client: RawClient) async throws -> Outcome {
        let started = ContinuousClock.now
        var progress = ProgressLine()
        var outcome = Outcome()
        var malformed: CommandFailure?

        try await withThrowingTaskGroup(of: (Batch, Duration).self) { group in
            var running = 0
            var isAtEnd = false
            while !isAtEnd || running > 0 {
                if !isAtEnd, running < self.inFlight {
                    let batch: Batch
                    (batch, malformed) = self.nextBatch(&records)
                    isAtEnd = malformed != nil || batch.records.count < self.batchSize
                    if !batch.records.isEmpty {
                        group.addTask { try await Self.put(batch, into: client) }
                        running += 1
                    }
                } else if let (batch, latency) = try await group.next() {
                    running -= 1
                    outcome.records += batch.records.count
                    outcome.bytes += batch.bytes
                    outcome.latencies.record(latency)
                    let share = records.shareRead.map { " \(Int($0 * 100)) % of the file read" } ?? ""
                    progress.update("\(Readable.count(outcome.records)) records\(share)")
                }
            }
        }
        progress.clear()
        if let malformed, let message = malformed.message {
            throw CommandFailure("\(message) (the \(Readable.count(outcome.records)) records before it are in)")
        }
        outcome.duration = ContinuousClock.now - started
        return outcome
    }

    private static func put(_ batch: Batch, into client: RawClient) async throws -> (Batch, Duration) {
        let started = ContinuousClock.now
        try await client.batchPut(batch.records.map { KeyValue($0.key, $0.value) })
        return (batch, ContinuousClock.now - started)
    }

    /// A batch that is not full is the last one.
    private func nextBatch(_ records: inout RecordReader) -> (Batch, CommandFailure?) {
        var batch = Batch()
        do throws(CommandFailure) {
            while batch.records.count < self.batchSize, let record = try records.next() {
                batch.records.append(record)
            }
            return (batch, nil)
        } catch {
            return (batch, error)
        }
    }
}
