// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Many who resolve the locks of one transaction in one region at the same time: one request does for all of them.
@Suite(.timeLimit(.minutes(1))) struct CollapseTests {
    private typealias Harness = PipelineHarness

    private static func request(
        start: UInt64 = 10, commit: UInt64 = 20, isAsync: Bool = false, keys: [String] = []
    ) -> Kvrpcpb_ResolveLockRequest {
        var request = Kvrpcpb_ResolveLockRequest()
        request.startVersion = start
        request.commitVersion = commit
        request.isAsync = isAsync
        request.keys = keys.map { Data($0.utf8) }
        return request
    }

    private static func send(_ request: Kvrpcpb_ResolveLockRequest, _ harness: Harness) async -> TiKVError? {
        do throws(TiKVError) {
            let _: Kvrpcpb_ResolveLockResponse = try await harness.sender.send(
                TikvpbTikvRPC.kvResolveLock, request, key: Array("k".utf8), timeout: .seconds(20), isWrite: false)
            return nil
        } catch {
            return error
        }
    }

    /// A store that answers when it is told to.
    private final class Gate: Sendable {
        private let stream: AsyncStream<Void>
        private let input: AsyncStream<Void>.Continuation

        init() { (self.stream, self.input) = AsyncStream.makeStream(of: Void.self) }

        func open() { self.input.finish() }

        func pass() async { for await _ in self.stream {} }
    }

    /// Lets the tasks that are ready go on.
    private static func settle() async {
        for _ in 0..<1_000 { await Task.yield() }
    }

    @Test func requestsForTheSameTransactionAndRegionShareOne() async {
        let harness = Harness([.sample(1)], jumps: false)
        let gate = Gate()
        harness.on("store1") { _ throws(RPCError) in
            await gate.pass()
            return Kvrpcpb_ResolveLockResponse()
        }
        let errors = await withTaskGroup(of: TiKVError?.self) { group in
            for index in 0..<20 { group.addTask { await Self.send(Self.request(isAsync: index % 2 == 0), harness) } }
            // Each of those that wait for another has a timer.
            await harness.clock.waitForSleepers(18)
            await Self.settle()
            gate.open()
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(errors.allSatisfy { $0 == nil })
        // Of asynchronous commits, and of the others, one each.
        #expect(harness.requests.count == 2)
    }

    @Test func thoseThatDifferAreEachSent() async {
        let harness = Harness([.sample(1)], jumps: false)
        harness.on("store1") { _ in Kvrpcpb_ResolveLockResponse() }
        var batch = Self.request(start: 0, commit: 0)
        batch.txnInfos = [.init()]
        let requests = [
            Self.request(), Self.request(start: 11), Self.request(commit: 0), Self.request(keys: ["k"]),
            Self.request(keys: ["k"]), batch, batch,
        ]
        #expect(Set(requests.compactMap(\.collapseKey)).count == 3)
        #expect(requests.filter { $0.collapseKey == nil }.count == 4)
        for request in requests { #expect(await Self.send(request, harness) == nil) }
        // One that is over takes none of those that follow with it.
        #expect(await Self.send(Self.request(), harness) == nil)
        #expect(harness.requests.count == 8)
    }

    @Test func whoIsCancelledTakesNobodyWithIt() async {
        let harness = Harness([.sample(1)], jumps: false)
        let gate = Gate()
        let (begun, begin) = AsyncStream<Void>.makeStream()
        let count = Mutex(0)
        harness.on("store1") { _ throws(RPCError) in
            let isFirst = count.withLock { count in
                count += 1
                return count == 1
            }
            guard isFirst else { return Kvrpcpb_ResolveLockResponse() }
            begin.yield()
            await gate.pass()
            throw RPCError(.cancelled, "the task was cancelled", delivery: .unknown)
        }
        await withTaskGroup(of: TiKVError?.self) { others in
            await withTaskGroup(of: TiKVError?.self) { first in
                first.addTask { await Self.send(Self.request(), harness) }
                for await _ in begun { break }
                others.addTask { await Self.send(Self.request(), harness) }
                await harness.clock.waitForSleepers(1)
                await Self.settle()
                first.cancelAll()
                for await error in first { #expect(error?.code == .cancelled) }
            }
            for await error in others { #expect(error == nil) }
        }
        #expect(harness.requests.count == 2)
    }

    @Test func aFailureIsSharedToo() async {
        let harness = Harness([.sample(1)], jumps: false)
        let gate = Gate()
        harness.on("store1") { _ throws(RPCError) in
            await gate.pass()
            throw RPCError(.invalidArgument, "no", delivery: .answered)
        }
        let errors = await withTaskGroup(of: TiKVError?.self) { group in
            for _ in 0..<3 { group.addTask { await Self.send(Self.request(), harness) } }
            await harness.clock.waitForSleepers(2)
            await Self.settle()
            gate.open()
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(errors.map { $0?.code } == [.serverError, .serverError, .serverError])
        #expect(harness.requests.count == 1)
    }
}
