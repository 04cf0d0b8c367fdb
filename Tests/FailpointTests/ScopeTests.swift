// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

import Testing
import TiKVFailpoints

@Suite struct ScopeTests {
    @Test func nothingHappensWithoutAScope() async throws {
        #expect(try await Failpoint.beforeCommit.evaluate() == nil)
        #expect(Failpoint.beforeCommit.value() == nil)
    }

    @Test func actionsHappenInTheScopeAndEndWithIt() async throws {
        try await FailpointScope.withActive([.beforeCommit: "1*return(\"fail\")->off", .txnScope: "return(bj)"]) {
            scope in
            let first = try await Failpoint.beforeCommit.evaluate()
            let second = try await Failpoint.beforeCommit.evaluate()
            #expect(first?.text == "fail")
            #expect(second == nil)
            #expect(Failpoint.txnScope.value()?.text == "bj")
            #expect(scope.hits(.beforeCommit) == 1)
        }
        #expect(try await Failpoint.beforeCommit.evaluate() == nil)
        #expect(Failpoint.txnScope.value() == nil)
    }

    @Test func panicIsAnError() async throws {
        try await FailpointScope.withActive([.tryResolveLock: "panic(no)"]) { _ in
            await #expect(throws: FailpointError.panic(.tryResolveLock, "no")) {
                try await Failpoint.tryResolveLock.evaluate()
            }
            // A place that cannot fail goes on.
            #expect(Failpoint.tryResolveLock.value() == nil)
        }
    }

    @Test func innerScopesComeFirstAndLeaveTheRest() async throws {
        try await FailpointScope.withActive([.beforeCommit: "return(outer)", .txnScope: "return(outer)"]) { _ in
            try await FailpointScope.withActive([.beforeCommit: "return(inner)"]) { _ in
                #expect(Failpoint.beforeCommit.value()?.text == "inner")
                #expect(Failpoint.txnScope.value()?.text == "outer")
            }
            #expect(Failpoint.beforeCommit.value()?.text == "outer")
        }
    }

    @Test func scopesOfOtherTasksAreOfNoConcern() async throws {
        try await withThrowingTaskGroup(of: String?.self) { group in
            for name in ["a", "b", nil] {
                group.addTask {
                    guard let name else { return Failpoint.beforeCommit.value()?.text }
                    return try await FailpointScope.withActive([.beforeCommit: "pause->return(\(name))"]) { scope in
                        async let paused = Failpoint.beforeCommit.evaluate()
                        try await scope.waitForHits(.beforeCommit)
                        try scope.set(.beforeCommit, "return(\(name))")
                        #expect(try await paused == nil)
                        return Failpoint.beforeCommit.value()?.text
                    }
                }
            }
            var found: Set<String?> = []
            for try await text in group { found.insert(text) }
            #expect(found == ["a", "b", nil])
        }
    }

    @Test func childTasksAreInTheScope() async throws {
        try await FailpointScope.withActive([.txnScope: "return(1)"]) { _ in
            let found = await withTaskGroup(of: String?.self) { group in
                group.addTask { Failpoint.txnScope.value()?.text }
                return await group.next() ?? nil
            }
            #expect(found == "1")
        }
    }

    @Test func pauseHoldsUntilItIsResumed() async throws {
        try await FailpointScope.withActive([.beforeCommit: "pause"]) { scope in
            async let first = Failpoint.beforeCommit.evaluate()
            try await scope.waitForHits(.beforeCommit)
            scope.resume(.beforeCommit)
            #expect(try await first == nil)
            // The next one waits again.
            async let second = Failpoint.beforeCommit.evaluate()
            try await scope.waitForHits(.beforeCommit, 2)
            try scope.set(.beforeCommit, "off")
            #expect(try await second == nil)
        }
    }

    /// The hit is told before the one who has to wait has come to its wait.
    @Test func whoeverIsLetGoOnTheWayToItsWaitDoesNotWait() async throws {
        for _ in 0..<2_000 {
            try await FailpointScope.withActive([.beforeCommit: "pause"]) { scope in
                async let held = Failpoint.beforeCommit.evaluate()
                try await scope.waitForHits(.beforeCommit)
                scope.resume(.beforeCommit)
                #expect(try await held == nil)
            }
        }
    }

    @Test func theEndOfTheScopeLetsEverybodyGo() async throws {
        let paused = try await FailpointScope.withActive([.beforeCommit: "pause"]) { scope in
            // A task of its own, since it has to outlive the scope that it waits in.
            let paused = Task { try await Failpoint.beforeCommit.evaluate() }
            try await scope.waitForHits(.beforeCommit)
            return paused
        }
        #expect(try await paused.value == nil)
    }

    @Test func cancellationEndsAPauseAndASleep() async throws {
        for action in ["pause", "sleep(1000000)"] {
            try await FailpointScope.withActive([.beforeCommit: action]) { scope in
                let task = Task { try await Failpoint.beforeCommit.evaluate() }
                try await scope.waitForHits(.beforeCommit)
                task.cancel()
                await #expect(throws: FailpointError.cancelled(.beforeCommit)) { try await task.value }
            }
        }
    }

    @Test func waitingForAHitThatNeverComesCanBeCancelled() async throws {
        try await FailpointScope.withActive([.beforeCommit: "return"]) { scope in
            let task = Task { try await scope.waitForHits(.beforeCommit, 2) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test func aWrongActionIsRefusedBeforeAnythingRuns() async throws {
        await #expect(throws: FailpointError.self) {
            try await FailpointScope.withActive([.beforeCommit: "jump"]) { _ in Issue.record("ran") }
        }
    }
}

#endif
