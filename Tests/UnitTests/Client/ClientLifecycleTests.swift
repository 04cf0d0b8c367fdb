// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Testing
import TiKVPD
import TiKVTransport

@testable import TiKV

@Suite(.timeLimit(.minutes(1))) struct ClientLifecycleTests {
    private func outcome(_ lifecycle: ClientLifecycle, _ deadline: Deadline) async -> TiKVError.Code? {
        do throws(TiKVError) {
            try await lifecycle.begin(deadline: deadline)
            lifecycle.end()
            return nil
        } catch {
            return error.code
        }
    }

    @Test func callsWaitForTheClientToRun() async throws {
        let clock = VirtualClock(jumps: false)
        let lifecycle = ClientLifecycle(clock: clock)
        let deadline = Deadline(after: .seconds(1), from: clock.now)
        async let waiting = self.outcome(lifecycle, deadline)
        await clock.waitForSleepers(1)
        try lifecycle.start()
        #expect(await waiting == nil)
        #expect(await self.outcome(lifecycle, deadline) == nil)
    }

    @Test func aClientThatNeverRunsIsSaidSo() async {
        let clock = VirtualClock(jumps: false)
        let lifecycle = ClientLifecycle(clock: clock)
        let deadline = Deadline(after: .seconds(1), from: clock.now)
        async let waiting = self.outcome(lifecycle, deadline)
        await clock.waitForSleepers(1)
        clock.advance(by: .seconds(2))
        #expect(await waiting == .clientNotRunning)
    }

    @Test func closingWakesWhoWaits() async {
        let clock = VirtualClock(jumps: false)
        let lifecycle = ClientLifecycle(clock: clock)
        let deadline = Deadline(after: .seconds(1), from: clock.now)
        async let waiting = self.outcome(lifecycle, deadline)
        await clock.waitForSleepers(1)
        lifecycle.close()
        #expect(await waiting == .clientClosed)
    }

    @Test func cancellingWakesWhoWaits() async {
        let clock = VirtualClock(jumps: false)
        let lifecycle = ClientLifecycle(clock: clock)
        let deadline = Deadline(after: .seconds(1), from: clock.now)
        let code = await withTaskGroup(of: TiKVError.Code?.self) { group in
            group.addTask { await self.outcome(lifecycle, deadline) }
            await clock.waitForSleepers(1)
            group.cancelAll()
            return await group.next() ?? nil
        }
        #expect(code == .cancelled)
    }

    @Test func stoppingRefusesNewCallsAndWaitsForThoseUnderWay() async throws {
        let clock = VirtualClock(jumps: false)
        let lifecycle = ClientLifecycle(clock: clock)
        let deadline = Deadline(after: .seconds(1), from: clock.now)
        try lifecycle.start()
        try await lifecycle.begin(deadline: deadline)
        try await lifecycle.begin(deadline: deadline)
        lifecycle.stop()
        #expect(!lifecycle.isClosed)
        #expect(await self.outcome(lifecycle, deadline) == .clientClosed)
        async let idle: Void = lifecycle.waitUntilIdle(deadline: deadline)
        await clock.waitForSleepers(1)
        lifecycle.end()
        // One is left.
        #expect(clock.sleeperCount == 1)
        lifecycle.end()
        await idle
        #expect(clock.elapsed == .zero)
        let error = #expect(throws: TiKVError.self) { try lifecycle.start() }
        #expect(error?.code == .clientClosed)
    }

    @Test func callsThatTakeTooLongAreNotWaitedFor() async throws {
        let clock = VirtualClock(jumps: false)
        let lifecycle = ClientLifecycle(clock: clock)
        let deadline = Deadline(after: .seconds(1), from: clock.now)
        try lifecycle.start()
        try await lifecycle.begin(deadline: deadline)
        lifecycle.stop()
        async let idle: Void = lifecycle.waitUntilIdle(deadline: deadline)
        await clock.waitForSleepers(1)
        clock.advance(by: .seconds(2))
        await idle
        lifecycle.close()
        lifecycle.end()
        #expect(lifecycle.isClosed)
        await lifecycle.waitUntilIdle(deadline: deadline)
    }

    @Test func itRunsOnce() throws {
        let lifecycle = ClientLifecycle(clock: VirtualClock(jumps: false))
        try lifecycle.start()
        #expect(throws: TiKVError.self) { try lifecycle.start() }
        lifecycle.close()
        lifecycle.close()
        #expect(lifecycle.isClosed)
        let error = #expect(throws: TiKVError.self) { try lifecycle.start() }
        #expect(error?.code == .clientClosed)
    }

    @Test func aClientThatCannotBeMadeLeavesNothingBehind() throws {
        var configuration = ClientConfiguration()
        configuration.connection.tls = .init(trustRoots: .file("/nowhere/ca.pem"))
        let error = #expect(throws: TiKVError.self) {
            try RawClient(pd: ["127.0.0.1:2379"], configuration: configuration)
        }
        #expect(error?.code == .invalidArgument)
        // One that was made and never ran has opened nothing, and holds on to nothing.
        weak var core: ClientCore?
        weak var pd: PDClient?
        do {
            let made = try ClientCore(
                .raw, pd: [PeerAddress(host: "127.0.0.1", port: 2379)], configuration: .init(),
                logger: Logger(label: "test"))
            core = made
            pd = made.pd
        }
        #expect(core == nil && pd == nil)
    }
}
