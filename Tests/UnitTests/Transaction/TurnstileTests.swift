// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import TiKV

/// One at a time: who comes while another is in waits until that one leaves, or until it is told to give up.
@Suite(.timeLimit(.minutes(1))) struct TurnstileTests {
    private final class Inside: Sendable {
        let count = Mutex((now: 0, most: 0, total: 0))

        func enter() { self.count.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1), $0.total + 1) } }
        func leave() { self.count.withLock { $0.now -= 1 } }
        var total: Int { self.count.withLock { $0.total } }
        var most: Int { self.count.withLock { $0.most } }
    }

    @Test func theNextOneWaitsUntilTheTurnIsGivenBack() async throws {
        let turnstile = Turnstile()
        try await turnstile.enter()
        let inside = Inside()
        let (started, startedContinuation) = AsyncStream<Void>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                startedContinuation.finish()
                try await turnstile.enter()
                inside.enter()
                turnstile.leave()
            }
            for await _ in started {}
            // However long it is given.
            for _ in 0..<1_000 { await Task.yield() }
            #expect(inside.total == 0)
            turnstile.leave()
            try await group.waitForAll()
        }
        #expect(inside.total == 1)
        // Given back as often as it was taken.
        try await turnstile.enter()
        turnstile.leave()
    }

    @Test func whoIsToldToGiveUpLeavesTheTurnToOthers() async throws {
        let turnstile = Turnstile()
        try await turnstile.enter()
        let error = await withTaskGroup(of: TiKVError?.self) { group in
            group.addTask {
                do throws(TiKVError) {
                    try await turnstile.enter()
                    return nil
                } catch {
                    return error
                }
            }
            group.cancelAll()
            return await group.next() ?? nil
        }
        #expect(error?.code == .cancelled)
        turnstile.leave()
        try await turnstile.enter()
        turnstile.leave()
    }

    @Test func onlyOneIsInAtATime() async throws {
        let turnstile = Turnstile()
        let inside = Inside()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await turnstile.enter()
                    inside.enter()
                    await Task.yield()
                    inside.leave()
                    turnstile.leave()
                }
            }
            try await group.waitForAll()
        }
        #expect(inside.most == 1)
        #expect(inside.total == 50)
    }
}
