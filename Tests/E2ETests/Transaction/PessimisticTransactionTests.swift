// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

@Suite(.timeLimit(.minutes(3)))
struct PessimisticTransactionTests {
    @Test
    func aLockedKeyIsWaitedFor() async throws {
        try await TransactionSpace.with { space in
            try await space.write(["a": "1"])
            let first = try await space.client.begin(.pessimistic)
            #expect(try await first.getForUpdate(space.key("a")) == "1")
            let second = try await space.client.begin(.pessimistic)
            async let waited = second.getForUpdate(space.key("a"))
            try await first.put(space.key("a"), value: "2")
            try await first.commit()
            // It began before, and sees the latest state all the same.
            #expect(try await waited == "2")
            #expect(try await second.get(space.key("a")) == "1")
            try await second.put(space.key("a"), value: "3")
            try await second.commit()
            #expect(try await space.client.snapshot().get(space.key("a")) == "3")
        }
    }

    @Test
    func nobodyWaitsLongerThanTold() async throws {
        try await TransactionSpace.with { space in
            let holder = try await space.client.begin(.pessimistic)
            try await holder.lock([space.key("a")])
            let impatient = try await space.client.begin(.init(kind: .pessimistic, lockWaitTimeout: .zero))
            let error = await #expect(throws: TiKVError.self) { try await impatient.lock([space.key("a")]) }
            #expect(error?.code == .keyIsLocked)
            #expect(error?.transaction?.key == space.key("a"))
            let patient = try await space.client.begin(
                .init(kind: .pessimistic, lockWaitTimeout: .milliseconds(100)))
            let timeout = await #expect(throws: TiKVError.self) { try await patient.lock([space.key("a")]) }
            #expect(timeout?.code == .lockWaitTimeout)
            #expect(timeout?.isRetryable == true)
            // The transaction itself goes on.
            try await patient.put(space.key("b"), value: "1")
            try await patient.commit()
            await holder.rollback()
            try await impatient.lock([space.key("a")])
            await impatient.rollback()
        }
    }

    @Test
    func aCircleOfWaitsIsBroken() async throws {
        try await TransactionSpace.with(splits: ["b"]) { space in
            let first = try await space.client.begin(.pessimistic)
            let second = try await space.client.begin(.pessimistic)
            try await first.put(space.key("a"), value: "1")
            try await second.put(space.key("c"), value: "2")
            // One gives way, and its end lets the other go on.
            async let one = self.failure(of: first) { try await first.put(space.key("c"), value: "1") }
            async let two = self.failure(of: second) { try await second.put(space.key("a"), value: "2") }
            let errors = await [one, two].compactMap { $0 }
            #expect(errors.map(\.code) == [.deadlock])
            #expect(errors.first?.isRetryable == true)
            #expect(errors.first?.transaction?.deadlock != nil)
            await first.rollback()
            await second.rollback()
        }
    }

    /// Rolls back a transaction that can't go on, and says why it can't.
    private func failure(of transaction: Transaction, _ body: () async throws -> Void) async -> TiKVError? {
        do {
            try await body()
            return nil
        } catch {
            await transaction.rollback()
            return error as? TiKVError
        }
    }

    @Test
    func rolledBackLocksAreFree() async throws {
        try await TransactionSpace.with(splits: ["b"]) { space in
            let first = try await space.client.begin(.pessimistic)
            try await first.put(space.key("a"), value: "1")
            try await first.put(space.key("c"), value: "1")
            await first.rollback()
            let second = try await space.client.begin(.init(kind: .pessimistic, lockWaitTimeout: .zero))
            try await second.put(space.key("a"), value: "2")
            try await second.put(space.key("c"), value: "2")
            try await second.commit()
            let reader = try await space.client.begin()
            #expect(try await space.text(reader.scan(space.range)) == ["a=2", "c=2"])
        }
    }

    @Test
    func aWriteAfterAConflictIsMadeAtALaterTimestamp() async throws {
        try await TransactionSpace.with { space in
            try await space.write(["a": "1"])
            let transaction = try await space.client.begin(.pessimistic)
            try await space.write(["a": "2"])
            // Committed since it began: locked as of a later moment.
            try await transaction.put(space.key("a"), value: "3")
            try await transaction.commit()
            #expect(try await space.client.snapshot().get(space.key("a")) == "3")
        }
    }

    @Test
    func readersDoNotWaitForPessimisticLocks() async throws {
        try await TransactionSpace.with { space in
            try await space.write(["a": "1"])
            let holder = try await space.client.begin(.pessimistic)
            try await holder.put(space.key("a"), value: "2")
            let reader = try await space.client.begin()
            #expect(try await reader.get(space.key("a"), timeout: .seconds(30)) == "1")
            await holder.rollback()
        }
    }
}
