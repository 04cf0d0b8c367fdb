// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKV

/// Reads and writes of many tasks at once, at random places of the table.
struct DemoLoad {
    let client: RawClient
    let data: DemoData

    /// What happens to the cluster while the load goes on.
    typealias Event = @Sendable () async throws -> Void

    private static let workers = 8
    private static let operationsBetweenEvents = 150

    /// Tells the workers that the last event is over.
    private final class Finish: Sendable {
        private let isSet = Atomic(false)
        var isReached: Bool { self.isSet.load(ordering: .relaxed) }
        func reach() { self.isSet.store(true, ordering: .relaxed) }
    }

    func readPoints(count: Int, inFlight: Int) async -> OperationLog {
        await withTaskGroup(of: OperationLog.self, returning: OperationLog.self) { group in
            for worker in 0..<inFlight {
                group.addTask {
                    var random = RandomSequence(seed: worker)
                    var log = OperationLog()
                    for _ in 0..<(count / inFlight) {
                        await self.read(&log, &random)
                    }
                    return log
                }
            }
            return await Self.merged(group)
        }
    }

    /// Keeps reads and writes going while the events happen, one after the other, and a while after each.
    func run(during events: [Event]) async throws -> OperationLog {
        let finish = Finish()
        return try await withThrowingTaskGroup(of: OperationLog.self, returning: OperationLog.self) { group in
            for worker in 1..<Self.workers {
                group.addTask {
                    var random = RandomSequence(seed: worker)
                    var log = OperationLog()
                    while !finish.isReached {
                        await self.readOrWrite(&log, &random)
                    }
                    return log
                }
            }
            group.addTask {
                // Whatever happens to an event, the workers must not go on for ever.
                defer { finish.reach() }
                var random = RandomSequence(seed: 0)
                var log = OperationLog()
                for event in events {
                    for _ in 0..<Self.operationsBetweenEvents {
                        await self.readOrWrite(&log, &random)
                    }
                    try await event()
                }
                for _ in 0..<Self.operationsBetweenEvents {
                    await self.readOrWrite(&log, &random)
                }
                return log
            }
            var merged = OperationLog()
            for try await log in group {
                merged.merge(log)
            }
            return merged
        }
    }

    // MARK: - Operations

    private func readOrWrite(_ log: inout OperationLog, _ random: inout RandomSequence) async {
        if Int.random(in: 0..<4, using: &random) == 0 {
            await self.write(&log, &random)
        } else {
            await self.read(&log, &random)
        }
    }

    private func read(_ log: inout OperationLog, _ random: inout RandomSequence) async {
        let record = self.randomRecord(&random)
        let name = "get"
        let value = await log.measure(name) { try await self.client.get(record.key) }
        if let value, value != record.value {
            log.complain(name, "wrong value for \(ByteNotation.text.describe(record.key.bytes))")
        }
    }

    /// Writes what is there already, so that readers know at every moment what to find.
    private func write(_ log: inout OperationLog, _ random: inout RandomSequence) async {
        let record = self.randomRecord(&random)
        await log.measure("put") { try await self.client.put(record.key, value: record.value) }
    }

    private func randomRecord(_ random: inout RandomSequence) -> RecordReader.Record {
        self.data.records[Int.random(in: self.data.records.indices, using: &random)]
    }

    private static func merged(_ group: consuming TaskGroup<OperationLog>) async -> OperationLog {
        var merged = OperationLog()
        for await log in group {
            merged.merge(log)
        }
        return merged
    }
}
