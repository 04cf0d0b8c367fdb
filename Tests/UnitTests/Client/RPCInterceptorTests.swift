// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// What stands around every RPC to a store.
@Suite(.timeLimit(.minutes(1))) struct RPCInterceptorTests {
    private typealias Harness = PipelineHarness

    /// Writes down its beginning and its end, with what it was told.
    private struct Recorder: RPCInterceptor {
        let name: String
        let log: Log
        var change: @Sendable (inout InterceptedRPC) -> Void = { _ in }

        func intercept<Response: Sendable>(
            _ rpc: InterceptedRPC, next: RPCInterceptorNext<Response>
        ) async throws -> Response {
            self.log.add("+\(self.name)", rpc)
            defer { self.log.add("-\(self.name)", nil) }
            var rpc = rpc
            self.change(&rpc)
            return try await next(rpc)
        }
    }

    private final class Log: Sendable {
        private let entries = Mutex<[(String, InterceptedRPC?)]>([])

        func add(_ text: String, _ rpc: InterceptedRPC?) { self.entries.withLock { $0.append((text, rpc)) } }

        var texts: [String] { self.entries.withLock { $0.map(\.0) } }
        var rpcs: [InterceptedRPC] { self.entries.withLock { $0.compactMap(\.1) } }
    }

    /// Throws instead of sending, or after it.
    private struct Refuser<Failure: Error>: RPCInterceptor {
        let name = "refuser"
        let error: Failure
        var sends = false

        func intercept<Response: Sendable>(
            _ rpc: InterceptedRPC, next: RPCInterceptorNext<Response>
        ) async throws -> Response {
            if self.sends { _ = try await next(rpc) }
            throw self.error
        }
    }

    private struct Refusal: Error {}

    private func error(_ body: () async throws(TiKVError) -> Void) async -> TiKVError? {
        do throws(TiKVError) {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    // MARK: - The chain

    @Test func theChainNestsInTheOrderAddedAndKeepsTheLastOfAName() {
        let log = Log()
        var chain = RPCInterceptorChain(["a", "b", "c"].map { Recorder(name: $0, log: log) })
        #expect(chain.interceptors.map(\.name) == ["a", "b", "c"])
        chain.add(Recorder(name: "a", log: log))
        #expect(chain.interceptors.map(\.name) == ["b", "c", "a"])
        let more = RPCInterceptorChain(["c", "d"].map { Recorder(name: $0, log: log) })
        #expect(chain.adding(more).interceptors.map(\.name) == ["b", "a", "c", "d"])
        #expect(chain.adding(.init()).interceptors.map(\.name) == ["b", "c", "a"])
    }

    @Test func everyRPCPassesThroughEachOnce() async throws {
        let log = Log()
        let harness = Harness(
            [.sample(1)], interceptors: [Recorder(name: "a", log: log), Recorder(name: "b", log: log)])
        harness.on("store1") { _ in Harness.value("v") }
        #expect(try await harness.get() == Harness.value("v"))
        #expect(log.texts == ["+a", "+b", "-b", "-a"])
        let rpc = try #require(log.rpcs.first)
        #expect(rpc.method == "RawGet")
        #expect(rpc.address == "store1:20160")
        #expect(rpc.storeID == 1)
        #expect(rpc.regionID == 1)
        #expect(rpc.attempt == 1)
        #expect(!rpc.isWrite)
        #expect(rpc.timeout == .seconds(20))
        #expect(rpc.requestSource == "leader_unknown")
    }

    @Test func withoutInterceptorsRequestsGoStraightOn() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ in Harness.value("v") }
        #expect(try await harness.get() == Harness.value("v"))
        #expect(harness.hosts == ["store1"])
    }

    @Test func scopedOnesStandInsideAndEndWithTheirScope() async throws {
        let log = Log()
        let harness = Harness(
            [.sample(1)], interceptors: [Recorder(name: "a", log: log), Recorder(name: "b", log: log)])
        harness.on("store1") { _ in Harness.value("v") }
        try await withRPCInterceptor(Recorder(name: "c", log: log)) {
            // In the place of the client's own of that name, at the inner end.
            try await withRPCInterceptor(Recorder(name: "a", log: log)) {
                _ = try await harness.get()
            }
        }
        #expect(log.texts == ["+b", "+c", "+a", "-a", "-c", "-b"])
        _ = try await harness.get()
        #expect(log.texts.suffix(4) == ["+a", "+b", "-b", "-a"])
    }

    @Test func eachTryIsAnRPCOfItsOwn() async throws {
        let log = Log()
        let harness = Harness([.sample(1)], interceptors: [Recorder(name: "a", log: log)])
        harness.on("store2") { _ in Harness.value("v") }
        _ = try await harness.get()
        #expect(log.rpcs.map(\.address) == ["store1:20160", "store2:20160"])
        #expect(log.rpcs.map(\.attempt) == [1, 2])
        #expect(log.rpcs.map(\.requestSource) == ["leader_unknown", "retry_leader_follower_unknown"])
        #expect(log.texts == ["+a", "-a", "+a", "-a"])
    }

    @Test func triesAreCountedOnWhereTheRegionIsAnother() async throws {
        let log = Log()
        let harness = Harness([.sample(1)], interceptors: [Recorder(name: "a", log: log)])
        let regions = harness.regions
        harness.on("store1") { request in
            guard (request as? Kvrpcpb_RawGetRequest)?.context.regionID == 1 else { return Harness.value("v") }
            regions.change { $0.regions = [.sample(2, epoch: RegionEpoch(confVer: 1, version: 2))] }
            return Harness.regionError { $0.epochNotMatch = .init() }
        }
        _ = try await harness.get()
        #expect(log.rpcs.map(\.regionID) == [1, 2])
        #expect(log.rpcs.map(\.attempt) == [1, 2])
    }

    @Test func whatAnInterceptorChangesIsSent() async throws {
        let log = Log()
        let harness = Harness(
            [.sample(1)],
            interceptors: [
                Recorder(name: "a", log: log) { rpc in
                    rpc.requestSource = "leader_external_other"
                    rpc.metadata["x-token"] = "1"
                    rpc.timeout = .seconds(3)
                }, Recorder(name: "b", log: log) { $0.timeout = .seconds(100) },
            ])
        harness.on("store1") { _ in Harness.value("v") }
        _ = try await harness.get()
        let request = try #require(harness.requests.last as? Kvrpcpb_RawGetRequest)
        #expect(request.context.requestSource == "leader_external_other")
        #expect(log.rpcs.last?.timeout == .seconds(3))
        let options = try #require(harness.options.last)
        #expect(options.metadata == ["x-token": "1"])
        // Never longer than the call has.
        #expect(options.timeout == .seconds(20))
    }

    // MARK: - Errors

    @Test func anErrorOfItsOwnEndsTheCallWithoutAnRPC() async {
        let harness = Harness([.sample(1)], interceptors: [Refuser(error: Refusal())])
        harness.on("store1") { _ in Harness.value("v") }
        let error = await self.error { () async throws(TiKVError) in try await harness.put() }
        #expect(error?.code == .interceptorFailed)
        #expect(error?.cause is Refusal)
        #expect(error?.isOutcomeUnknown == false)
        #expect(harness.hosts.isEmpty)
    }

    @Test func aTiKVErrorAndACancellationAreTheCallsOwn() async {
        let busy = Harness([.sample(1)], interceptors: [Refuser(error: TiKVError(.serverIsBusy, "no"))])
        let refused = await self.error { () async throws(TiKVError) in try await busy.put() }
        #expect(refused?.code == .serverIsBusy)
        let cancelling = Harness([.sample(1)], interceptors: [Refuser(error: CancellationError())])
        let cancelled = await self.error { () async throws(TiKVError) in try await cancelling.put() }
        #expect(cancelled?.code == .cancelled)
    }

    @Test func aWriteThatWasSentBeforeTheErrorIsInDoubt() async {
        let harness = Harness([.sample(1)], interceptors: [Refuser(error: Refusal(), sends: true)])
        harness.on("store1") { _ in Kvrpcpb_RawPutResponse() }
        let error = await self.error { () async throws(TiKVError) in try await harness.put() }
        #expect(error?.isOutcomeUnknown == true)
        #expect(harness.hosts == ["store1"])
    }

    @Test func anInterceptorThatSendsAgainDoesNotTakeTheFirstTimeBack() async {
        struct Repeater: RPCInterceptor {
            let name = "repeater"

            func intercept<Response: Sendable>(
                _ rpc: InterceptedRPC, next: RPCInterceptorNext<Response>
            ) async throws -> Response {
                do {
                    return try await next(rpc)
                } catch is RPCFailure {
                    return try await next(rpc)
                }
            }
        }
        let harness = Harness([.sample(1)], interceptors: [Repeater()])
        let count = Mutex(0)
        harness.on("store1") { _ throws(RPCError) in
            let number = count.withLock { count in
                count += 1
                return count
            }
            // The second status says that this time nothing was begun.
            throw number == 1
                ? RPCError(.unavailable, "cut", delivery: .unknown)
                : RPCError(.permissionDenied, "no", delivery: .answered)
        }
        let error = await self.error { () async throws(TiKVError) in try await harness.put() }
        #expect(error?.isOutcomeUnknown == true)
        #expect(harness.hosts == ["store1", "store1"])
    }

    @Test func aFailedRPCIsSeenAndTriedAgain() async throws {
        final class Watcher: RPCInterceptor {
            let name = "watcher"
            let seen = Mutex<[String]>([])

            func intercept<Response: Sendable>(
                _ rpc: InterceptedRPC, next: RPCInterceptorNext<Response>
            ) async throws -> Response {
                do {
                    return try await next(rpc)
                } catch let failure as RPCFailure {
                    self.seen.withLock { $0.append("\(failure.status) \(failure.wasSent) \(failure.detail)") }
                    throw failure
                }
            }
        }
        let watcher = Watcher()
        let harness = Harness([.sample(1)], interceptors: [watcher])
        harness.on("store2") { _ in Harness.value("v") }
        #expect(try await harness.get() == Harness.value("v"))
        #expect(watcher.seen.withLock { $0 } == ["unavailable false connection refused"])
    }

    // MARK: - Request source

    @Test func theSourceOfTheClientAndOfAScopeReachTheStore() async throws {
        let harness = Harness([.sample(1)], source: RequestSource("orders"))
        harness.on("store1") { _ in Harness.value("v") }
        _ = try await harness.get()
        try await withRequestSource(RequestSource("stats", explicitType: "background", isInternal: true)) {
            _ = try await harness.get()
        }
        let sources = harness.requests.compactMap { ($0 as? Kvrpcpb_RawGetRequest)?.context.requestSource }
        #expect(sources == ["leader_external_orders", "leader_internal_stats_background"])
    }

    // MARK: - Priority

    @Test func thePriorityOfAScopeReachesTheStoreAndTheQueueBeforeIt() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ in Harness.value("v") }
        _ = try await harness.get()
        for priority in [RequestPriority.high, .low] {
            try await withRequestPriority(priority) { _ = try await harness.get() }
        }
        let priorities = harness.requests.compactMap { ($0 as? Kvrpcpb_RawGetRequest)?.context.priority }
        #expect(priorities == [.normal, .high, .low])
        let queued = harness.options.map(\.priority)
        #expect(queued[1] > queued[0] && queued[0] > queued[2])
        // High is what the limit of requests in flight does not hold back.
        #expect(queued[1] >= 10 && queued[0] < 10)
    }

    @Test(arguments: [
        (RequestSource(), "unknown"), (RequestSource(isInternal: true), "unknown"),
        (RequestSource("gc", isInternal: true), "internal_gc"),
        (RequestSource("br", explicitType: "br"), "external_br"),
        (RequestSource(explicitType: "br"), "external_unknown_br"),
        (RequestSource("x", explicitType: "br"), "external_x_br"),
    ])
    func sourcesHaveTheLabelsThatTiKVKnows(source: RequestSource, label: String) {
        #expect(source.label == label)
        #expect(RequestSource.label(label, replica: "follower", retryOf: nil) == "follower_" + label)
        #expect(
            RequestSource.label(label, replica: "leader", retryOf: "stale_follower")
                == "retry_stale_follower_leader_" + label)
    }
}
