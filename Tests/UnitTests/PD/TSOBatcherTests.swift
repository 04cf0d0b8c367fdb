// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVTransport

@testable import TiKVPD

/// The batcher against streams whose answers are made up.
@Suite(.timeLimit(.minutes(1))) struct TSOBatcherTests {
    private func run<Result: Sendable>(
        _ source: ScriptedTSO, clock: any TimeSource = SystemTimeSource(),
        _ body: (TSOBatcher) async throws -> Result
    ) async throws -> Result {
        let backoff = BackoffKind("test", base: .milliseconds(1), cap: .milliseconds(2), jitter: .none)
        let batcher = TSOBatcher(
            source: source, configuration: TSOConfiguration(backoff: backoff), clock: clock, random: { 0.5 })
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await batcher.run() }
            defer { group.cancelAll() }
            return try await body(batcher)
        }
    }

    private func deadline(_ clock: any TimeSource = SystemTimeSource()) -> Deadline {
        Deadline(after: .seconds(30), from: clock.now)
    }

    @Test func callersShareRequestsAndNoTimestampIsGivenTwice() async throws {
        let pd = ScriptedClock(Timestamp(physical: 10, logical: 0))
        let gate = ScriptedGate()
        let source = ScriptedTSO { _, count in
            await gate.pass()
            return pd.answer(count)
        }
        try await self.run(source) { batcher in
            let deadline = self.deadline()
            let taken = try await withThrowingTaskGroup(of: Timestamp.self) { group in
                for _ in 0..<200 { group.addTask { try await batcher.timestamp(deadline: deadline) } }
                while source.requests.isEmpty { await Task.yield() }
                gate.open()
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(taken).count == 200)
            #expect(source.requests.reduce(0, +) == 200)
            // The first requests are on their way before most callers came; the rest of them share what follows.
            #expect(source.requests.count < 100)
            let next = try await batcher.timestamp(deadline: deadline)
            #expect(taken.allSatisfy { $0 < next })
        }
    }

    @Test func aCallerThatIsCancelledDisturbsNobody() async throws {
        let pd = ScriptedClock(Timestamp(physical: 10, logical: 0))
        let gate = ScriptedGate()
        let source = ScriptedTSO { _, count in
            await gate.pass()
            return pd.answer(count)
        }
        try await self.run(source) { batcher in
            let deadline = self.deadline()
            async let other = batcher.timestamp(deadline: deadline)
            while source.requests.isEmpty { await Task.yield() }
            let code = await withTaskGroup(of: PDError.Code?.self) { group in
                group.addTask {
                    do throws(PDError) {
                        _ = try await batcher.timestamp(deadline: deadline)
                        return nil
                    } catch {
                        return error.code
                    }
                }
                while source.requests.count < 2 { await Task.yield() }
                group.cancelAll()
                return await group.next() ?? nil
            }
            #expect(code == .cancelled)
            gate.open()
            let timestamp = try await other
            #expect(timestamp > Timestamp(physical: 10, logical: 0))
            #expect(source.streams == 1)
        }
    }

    @Test func aCallersTimeEndsWithTheReasonOfTheLastFailure() async throws {
        let clock = VirtualClock(jumps: false)
        let source = ScriptedTSO { _, _ throws(RPCError) in
            throw RPCError(.unavailable, "connection refused", delivery: .notSent)
        }
        try await self.run(source, clock: clock) { batcher in
            let deadline = Deadline(after: .seconds(5), from: clock.now)
            async let call = batcher.timestamp(deadline: deadline)
            // By then the failure of the first stream is known.
            while source.streams < 2 { await Task.yield() }
            clock.advance(by: .seconds(5))
            do {
                _ = try await call
                Issue.record("there is no timestamp to get")
            } catch {
                // An `async let` forgets the type of what it throws.
                let error = error as? PDError
                #expect(error?.code == .unreachable)
                #expect(error?.message.contains("connection refused") == true)
            }
        }
    }

    @Test func aStreamThatBreaksIsReplacedAndNobodyFails() async throws {
        let pd = ScriptedClock(Timestamp(physical: 10, logical: 0))
        let answers = Mutex(0)
        let source = ScriptedTSO { stream, count throws(RPCError) in
            let isBroken = answers.withLock { answers in
                answers += 1
                return answers % 5 == 0
            }
            if isBroken { throw RPCError(.unavailable, "leader changed", delivery: .answered) }
            return pd.answer(count)
        }
        try await self.run(source) { batcher in
            let deadline = self.deadline()
            let taken = try await withThrowingTaskGroup(of: [Timestamp].self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        var own: [Timestamp] = []
                        for _ in 0..<50 { own.append(try await batcher.timestamp(deadline: deadline)) }
                        return own
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for own in taken { #expect(zip(own, own.dropFirst()).allSatisfy { $0 < $1 }) }
            #expect(Set(taken.joined()).count == 400)
            #expect(source.streams > 1)
        }
    }

    /// A new leader that lags behind the old one.
    @Test func timestampsThatGoBackAreNotHandedOut() async throws {
        let high = Timestamp(physical: 100, logical: 0)
        let source = ScriptedTSO { stream, count throws(RPCError) in
            switch stream {
            case 1:
                if count > 1 { throw RPCError(.unavailable, "", delivery: .answered) }
                return TSOAnswer(physical: 100, logical: 0, count: 1)
            case 2: return TSOAnswer(physical: 99, logical: 50, count: count)
            default: return TSOAnswer(physical: 100, logical: Int64(count), count: count)
            }
        }
        try await self.run(source) { batcher in
            let deadline = self.deadline()
            #expect(try await batcher.timestamp(deadline: deadline) == high)
            // The stream answers nothing more that is above the first one.
            let next = try await batcher.timestamp(deadline: deadline)
            #expect(next > high)
            #expect(source.streams == 3)
        }
    }

    @Test func aStreamWithoutAnswersIsGivenUp() async throws {
        let pd = ScriptedClock(Timestamp(physical: 10, logical: 0))
        let clock = VirtualClock(jumps: false)
        let never = ScriptedGate()
        let source = ScriptedTSO { stream, count throws(RPCError) in
            if stream == 1 {
                await never.pass()
                throw RPCError(.cancelled, "")
            }
            return pd.answer(count)
        }
        try await self.run(source, clock: clock) { batcher in
            async let call = batcher.timestamp(deadline: self.deadline(clock))
            // The look at the deadlines, and the watch over the stream.
            await clock.waitForSleepers(2)
            while source.requests.isEmpty { await Task.yield() }
            clock.advance(by: .seconds(4))
            let timestamp = try await call
            #expect(timestamp > Timestamp(physical: 10, logical: 0))
            #expect(source.streams == 2)
        }
    }

    @Test func callersOfAClosedClientFail() async throws {
        let source = ScriptedTSO { _, _ in
            await ScriptedGate().pass()
            return nil
        }
        let batcher = TSOBatcher(source: source, clock: SystemTimeSource(), random: { 0.5 })
        let deadline = self.deadline()
        let codes = await withTaskGroup(of: PDError.Code?.self) { group in
            group.addTask {
                do throws(PDError) {
                    _ = try await batcher.timestamp(deadline: deadline)
                    return nil
                } catch {
                    return error.code
                }
            }
            await withTaskGroup(of: Void.self) { running in
                running.addTask { await batcher.run() }
                while source.requests.isEmpty { await Task.yield() }
                running.cancelAll()
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(codes == [.closed])
        await #expect(throws: PDError.self) { try await batcher.timestamp(deadline: deadline) }
    }

    @Test func withoutRunItWaitsNoLongerThanItsDeadline() async throws {
        let clock = VirtualClock(jumps: false)
        let source = ScriptedTSO { _, _ in nil }
        let batcher = TSOBatcher(source: source, clock: clock, random: { 0.5 })
        let deadline = Deadline(after: .seconds(5), from: clock.now)
        async let passed: Void = {
            await clock.waitForSleepers(1)
            clock.advance(by: .seconds(5))
        }()
        let error = await #expect(throws: PDError.self) { try await batcher.timestamp(deadline: deadline) }
        await passed
        #expect(error?.code == .deadlineExceeded)
        #expect(clock.elapsed == .seconds(5))
        #expect(source.streams == 0)
    }

    @Test func whoCameBeforeRunIsServedByIt() async throws {
        let pd = ScriptedClock(Timestamp(physical: 10, logical: 0))
        let source = ScriptedTSO { _, count in pd.answer(count) }
        let clock = VirtualClock(jumps: false)
        let batcher = TSOBatcher(source: source, clock: clock, random: { 0.5 })
        let deadline = Deadline(after: .seconds(5), from: clock.now)
        let taken = try await withThrowingTaskGroup(of: Timestamp?.self) { group in
            group.addTask { try await batcher.timestamp(deadline: deadline) }
            // Its deadline is watched.
            await clock.waitForSleepers(1)
            group.addTask {
                await batcher.run()
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        #expect(taken == Timestamp(physical: 10, logical: 1))
    }

    @Test func cancelledBeforeRunItSaysSo() async throws {
        let source = ScriptedTSO { _, _ in nil }
        let clock = VirtualClock(jumps: false)
        let batcher = TSOBatcher(source: source, clock: clock, random: { 0.5 })
        let deadline = Deadline(after: .seconds(5), from: clock.now)
        let error = await withTaskGroup(of: PDError?.self) { group in
            group.addTask {
                do throws(PDError) {
                    _ = try await batcher.timestamp(deadline: deadline)
                    return nil
                } catch {
                    return error
                }
            }
            await clock.waitForSleepers(1)
            group.cancelAll()
            return await group.next() ?? nil
        }
        #expect(error?.code == .cancelled)
    }

    @Test func aFewCallersWaitForOthersWhereThatIsWanted() async {
        let pd = ScriptedClock(Timestamp(physical: 10, logical: 0))
        let source = ScriptedTSO { _, count in pd.answer(count) }
        let clock = VirtualClock(jumps: false)
        let batcher = TSOBatcher(
            source: source, configuration: TSOConfiguration(maximumWait: .milliseconds(10)), clock: clock,
            random: { 0.5 })
        let deadline = Deadline(after: .seconds(30), from: clock.now)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await batcher.run() }
            defer { group.cancelAll() }
            let callers = await withTaskGroup(of: Bool.self) { callers in
                callers.addTask { (try? await batcher.timestamp(deadline: deadline)) != nil }
                // The watch for silence, that of the deadline, and the wait for more.
                await clock.waitForSleepers(3)
                #expect(source.requests.isEmpty)
                for _ in 0..<2 { callers.addTask { (try? await batcher.timestamp(deadline: deadline)) != nil } }
                while batcher.waiting < 3 { await Task.yield() }
                clock.advance(by: .milliseconds(10))
                return await callers.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(callers == 3)
            #expect(source.requests == [3])
        }
    }
}
