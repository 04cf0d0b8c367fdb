// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVTransport

@testable import TiKVPD

/// Asking for a timestamp before it is needed.
@Suite(.timeLimit(.minutes(1))) struct EarlyTimestampTests {
    @Test func theQuestionIsOnItsWayWhileTheCallerDoesSomethingElse() async throws {
        let pd = ScriptedClock(Timestamp(physical: 1_700_000_000_000, logical: 0))
        let gate = ScriptedGate()
        let source = ScriptedTSO { _, count in
            await gate.pass()
            return pd.answer(count)
        }
        let clock = VirtualClock(jumps: false)
        let oracle = PDOracle(source: source, clock: clock, random: { 0.5 })
        let deadline = Deadline(after: .seconds(3600), from: clock.now)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await oracle.run() }
            async let early = oracle.timestamp(deadline: deadline)
            // Nobody waits for it yet; it has been asked for all the same.
            while source.requests.isEmpty { await Task.yield() }
            // What somebody else takes meanwhile is above nothing that the early one may be.
            pd.advance(to: Timestamp(physical: 1_700_000_000_500, logical: 0))
            gate.open()
            let timestamp = try await early
            #expect(timestamp > Timestamp(physical: 1_700_000_000_500, logical: 0))
            #expect(source.requests == [1])
            group.cancelAll()
        }
    }
}
