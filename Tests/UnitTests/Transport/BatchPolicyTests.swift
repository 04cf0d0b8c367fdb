// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import Testing
import TiKVProto

@testable import TiKVTransport

/// When commands wait for company, and what is said of those that wait long.
@Suite(.timeLimit(.minutes(1)))
struct BatchPolicyTests {
    private static func trigger(_ policy: BatchPolicy) -> BatchTrigger {
        BatchTrigger(BatchConfiguration(policy: policy))
    }

    @Test func basicNeverWaits() {
        var trigger = Self.trigger(.basic)
        #expect(trigger.neverWaits)
        #expect(trigger.began(at: .uptimeNanoseconds(1)) == nil)
    }

    @Test func positiveAlwaysWaits() {
        var trigger = Self.trigger(.positive)
        #expect(!trigger.neverWaits)
        for seconds in [3_600, 0.001] {
            let more = trigger.wantsMore(after: seconds)
            #expect(more)
        }
        for average in [1, 1.2, 1.8] { #expect(trigger.preferredSize(average, fixed: 8) == 8) }
        #expect(trigger.began(at: .uptimeNanoseconds(1)) == .init(time: .microseconds(100), commands: 8))
    }

    @Test func standardWaitsWhereCommandsComeFast() {
        var trigger = Self.trigger(.standard)
        #expect(trigger.preferredSize(1, fixed: 8) == 1)
        #expect(trigger.preferredSize(1.2, fixed: 8) == 1)
        #expect(trigger.preferredSize(1.8, fixed: 8) == 2)
        for (microseconds, expected) in [(100, false), (80, false), (10, true), (80, true), (90, false)] {
            let more = trigger.wantsMore(after: Double(microseconds) / 1e6)
            #expect(more == expected)
        }
        // A long pause counts as five waits, so that it is forgotten soon.
        for _ in 0..<50 { _ = trigger.wantsMore(after: 3_600) }
        for _ in 0..<8 {
            let more = trigger.wantsMore(after: 0.000_01)
            #expect(!more)
        }
        let more = trigger.wantsMore(after: 0.000_01)
        #expect(more)
    }

    @Test func byProbabilityWaitsWhereMostComeSoon() throws {
        var trigger = Self.trigger(try #require(BatchPolicy(#"{"v":2,"t":0.001,"w":0.2,"p":0.5}"#)))
        #expect(trigger.preferredSize(1, fixed: 8) == 2)
        #expect(trigger.preferredSize(1.2, fixed: 8) == 2)
        for expected in [false, false, false, true] {
            let more = trigger.wantsMore(after: 0.000_999)
            #expect(more == expected)
        }
        let more = trigger.wantsMore(after: 0.001)
        #expect(!more)
    }

    @Test func sizesFollowWhatWasSent() {
        var trigger = Self.trigger(.standard)
        var now = NIODeadline.uptimeNanoseconds(1_000_000)
        for _ in 0..<50 {
            now = now + .microseconds(10)
            _ = trigger.began(at: now)
            trigger.sent(4)
        }
        #expect(trigger.began(at: now + .microseconds(10)) == .init(time: .microseconds(100), commands: 4))
    }

    @Test func underOverloadOfTheServerCommandsWait() {
        let overload = BatchConfiguration.Overload(threshold: 200, wait: .milliseconds(2), commands: 5)
        var trigger = BatchTrigger(BatchConfiguration(overload: overload))
        #expect(!trigger.neverWaits)
        trigger.serverLoad = 200
        #expect(trigger.began(at: .uptimeNanoseconds(1)) == nil)
        trigger.serverLoad = 201
        #expect(trigger.began(at: .uptimeNanoseconds(2)) == .init(time: .milliseconds(2), commands: 5))
    }

    @Test func policiesAreRead() {
        #expect(BatchPolicy("basic") == .basic)
        #expect(BatchPolicy("standard") == .standard)
        #expect(BatchPolicy("positive") == .positive)
        #expect(BatchPolicy("custom {} ") == .basic)
        #expect(BatchPolicy(#"{"t":0.0001}"#) == .positive)
        #expect(BatchPolicy(#"{"v":1,"t":0.0001,"n":5,"w":0.2,"p":0.8,"q":0.8}"#) == .standard)
        for text in ["", "invalid", "custom", "custom {x:1}", #"{"v":3}"#, #"{"t":"a"}"#, #"{"t":-1}"#] {
            #expect(BatchPolicy(text) == nil)
        }
    }

    @Test(arguments: ["basic", "standard", "positive", #"custom {"t":0.002}"#])
    func underEachPolicyEveryCommandIsAnswered(policy: String) async throws {
        var configuration = ConnectionConfiguration()
        configuration.batch?.policy = try #require(BatchPolicy(policy))
        let recorder = RecordingObserver()
        configuration.observer = recorder
        try await BatchLoopbackTests.withBatchOnly(BatchLoopbackTests.echo(), configuration: configuration) { pool, _ in
            for _ in 0..<20 { try await RPCLoopbackTests.expectAnswer(pool) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<300 { group.addTask { try await RPCLoopbackTests.expectAnswer(pool) } }
                try await group.waitForAll()
            }
        }
        #expect(recorder.soFar.batches.reduce(0, +) == 320)
    }

    // MARK: - Progress

    @Test func aCommandThatIsGivenUpSaysHowFarItCame() {
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
        var progress = CommandProgress(queuedAt: start)
        #expect(
            progress.description(at: start + .milliseconds(10), isOvertaken: false) == "it waited 10 ms to be sent")
        progress.sentAt = start + .milliseconds(4)
        progress.batchSize = 3
        #expect(
            progress.description(at: start + .milliseconds(30), isOvertaken: false)
                == "it was sent after 4000 µs in a message of 3, and not answered for 26 ms")
        #expect(
            progress.description(at: start + .milliseconds(30), isOvertaken: true).hasSuffix(
                "; later ones were answered"))
        // Marks out of order do no harm.
        #expect(progress.description(at: start, isOvertaken: false).hasSuffix("not answered for 0 µs"))
    }

    @Test func thePendingCommandsAreInspected() {
        let now = NIODeadline.uptimeNanoseconds(10_000_000_000_000)
        var correlator = BatchCorrelator<Int>()
        for (waiter, age) in [450, 300, 30, 90, 360, 29, 1].enumerated() {
            correlator.time = now - .seconds(Int64(age))
            _ = correlator.add(field: 13, payload: [], priority: 0, deadline: nil, waiter: waiter)
        }
        correlator.time = now - .seconds(1)
        _ = correlator.takeBatch(.init(maxBatchSize: 6))
        var pending = correlator.inspect(at: now)
        #expect(pending.oldest == .seconds(450))
        #expect(pending.slow == 5)
        #expect(pending.hanging == 4)
        #expect(pending.slowNotOvertaken == 5)
        #expect(pending.hangingNotOvertaken == 4)
        // Behind the first three something has been answered.
        _ = correlator.answer(BatchEnvelope.Item(id: 4, field: 13, payload: []))
        pending = correlator.inspect(at: now)
        #expect(pending.slow == 4)
        #expect(pending.hanging == 3)
        #expect(pending.slowNotOvertaken == 1)
        #expect(pending.hangingNotOvertaken == 1)
    }

    @Test func theErrorOfACommandThatRanOutOfTimeTellsItsProgress() async throws {
        var services = BatchLoopbackTests.echo()
        let started = BatchLoopbackTests.stalling(&services)
        services.registerBatchCommands()
        try await BatchLoopbackTests.withBatchOnly(services) { pool, _ in
            async let error = RPCLoopbackTests.error {
                _ = try await pool.unary(
                    BatchLoopbackTests.put, Kvrpcpb_RawPutRequest(), options: .init(timeout: .seconds(2)))
            }
            for await _ in started {}
            let message = await error?.message ?? ""
            #expect(message.contains("in a message of 1, and not answered for"))
        }
    }
}
