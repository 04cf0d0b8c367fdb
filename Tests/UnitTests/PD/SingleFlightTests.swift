// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVPD

@Suite(.timeLimit(.minutes(1))) struct SingleFlightTests {
    private struct Failure: Error, Equatable { var isShared: Bool }

    private typealias Flight = SingleFlight<String, Int, Failure>

    private final class Counter: Sendable {
        private let value = Mutex(0)

        var count: Int { self.value.withLock { $0 } }

        func increment() -> Int {
            self.value.withLock { value in
                value += 1
                return value
            }
        }
    }

    /// Lets one operation wait until the test opens it.
    private final class Gate: Sendable {
        private let stream: AsyncStream<Void>
        private let input: AsyncStream<Void>.Continuation

        init() { (self.stream, self.input) = AsyncStream.makeStream(of: Void.self) }

        func open() { self.input.finish() }

        func pass() async { for await _ in self.stream {} }
    }

    /// Returns when so many wait for the operation of another. That a caller's timer runs says too little: it is set first, and
    /// one that has not come further when the operation ends begins another.
    private func wait(for count: Int, at flight: Flight) async {
        while flight.waiterCount < count { await Task.yield() }
    }

    private func flight(_ clock: VirtualClock) -> Flight { SingleFlight(clock: clock, isShared: \.isShared) }

    @Test func callersOfTheSameThingShareOneOperation() async throws {
        let clock = VirtualClock(jumps: false)
        let flight = self.flight(clock)
        let deadline = Deadline(after: .seconds(10), from: clock.now)
        let gate = Gate()
        let runs = Counter()
        let values = try await withThrowingTaskGroup(of: Int?.self) { group in
            for _ in 0..<5 {
                group.addTask {
                    try await flight.run("x", deadline: deadline) { () async throws(Failure) in
                        let run = runs.increment()
                        await gate.pass()
                        return run
                    }
                }
            }
            await self.wait(for: 4, at: flight)
            gate.open()
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(values == [1, 1, 1, 1, 1])
        #expect(runs.count == 1)
    }

    @Test func whoWaitsGivesUpAtItsOwnDeadline() async throws {
        let clock = VirtualClock(jumps: false)
        let flight = self.flight(clock)
        let late = Deadline(after: .seconds(10), from: clock.now)
        let soon = Deadline(after: .seconds(1), from: clock.now)
        let gate = Gate()
        let begun = Gate()
        async let first = flight.run("x", deadline: late) { () async throws(Failure) in
            begun.open()
            await gate.pass()
            return 1
        }
        await begun.pass()
        async let second = flight.run("x", deadline: soon) { () async throws(Failure) in 2 }
        await self.wait(for: 1, at: flight)
        // Its timer is what ends the wait.
        await clock.waitForSleepers(1)
        clock.advance(by: .seconds(2))
        #expect(try await second == nil)
        gate.open()
        #expect(try await first == 1)
    }

    @Test func whoWaitsCanBeCancelled() async throws {
        let clock = VirtualClock(jumps: false)
        let flight = self.flight(clock)
        let deadline = Deadline(after: .seconds(10), from: clock.now)
        let gate = Gate()
        let begun = Gate()
        async let first = flight.run("x", deadline: deadline) { () async throws(Failure) in
            begun.open()
            await gate.pass()
            return 1
        }
        await begun.pass()
        let second = await withTaskGroup(of: Int??.self) { group in
            group.addTask { try? await flight.run("x", deadline: deadline) { () async throws(Failure) in 2 } }
            await self.wait(for: 1, at: flight)
            group.cancelAll()
            return await group.next()
        }
        #expect(second == .some(.some(nil)))
        gate.open()
        #expect(try await first == 1)
    }

    @Test func aFailureOfTheRunnersOwnLetsTheNextOneRun() async throws {
        let clock = VirtualClock(jumps: false)
        let flight = self.flight(clock)
        let deadline = Deadline(after: .seconds(10), from: clock.now)
        let gate = Gate()
        let begun = Gate()
        async let first = flight.run("x", deadline: deadline) { () async throws(Failure) in
            begun.open()
            await gate.pass()
            throw Failure(isShared: false)
        }
        await begun.pass()
        async let second = flight.run("x", deadline: deadline) { () async throws(Failure) in 2 }
        await self.wait(for: 1, at: flight)
        gate.open()
        do {
            _ = try await first
            Issue.record("the runner must see its own failure")
        } catch {
            #expect(error as? Failure == Failure(isShared: false))
        }
        #expect(try await second == 2)
    }

    @Test func aFailureForAllReachesAll() async throws {
        let clock = VirtualClock(jumps: false)
        let flight = self.flight(clock)
        let deadline = Deadline(after: .seconds(10), from: clock.now)
        let gate = Gate()
        let begun = Gate()
        async let first = flight.run("x", deadline: deadline) { () async throws(Failure) in
            begun.open()
            await gate.pass()
            throw Failure(isShared: true)
        }
        await begun.pass()
        async let second = flight.run("x", deadline: deadline) { () async throws(Failure) in 2 }
        await self.wait(for: 1, at: flight)
        gate.open()
        do {
            _ = try await first
            Issue.record("everyone must see the failure")
        } catch {
            #expect(error as? Failure == Failure(isShared: true))
        }
        do {
            _ = try await second
            Issue.record("everyone must see the failure")
        } catch {
            #expect(error as? Failure == Failure(isShared: true))
        }
    }

    @Test func differentThingsDoNotWaitForEachOther() async throws {
        let clock = VirtualClock(jumps: false)
        let flight = self.flight(clock)
        let deadline = Deadline(after: .seconds(10), from: clock.now)
        let value = try await flight.run("x", deadline: deadline) { () async throws(Failure) in
            (try await flight.run("y", deadline: deadline) { () async throws(Failure) in 20 } ?? 0) + 1
        }
        #expect(value == 21)
    }
}
