// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import TiKVFailpoints
import TiKVPD
import TiKVProto
import TiKVTransport

/// The one way by which requests go to regions: find the region, send to its leader, and where that goes wrong correct what
/// is known, wait if need be, and send again, until there is an answer or the call's time is over.
///
/// Whom to send to and how to go on are decisions of `ReplicaSelector`, `RegionErrorReaction`, `TransportErrorReaction` and
/// `Backoff`; this carries them out.
final class RegionRequestSender: Sendable {
    let cache: RegionCache
    let stores: StoreConnections
    let lifecycle: ClientLifecycle
    let codecs: CodecSource
    let clock: any TimeSource
    let random: @Sendable () -> Double
    /// Picks among replicas that are as good, from 0 up to 1.
    let choice: @Sendable () -> Double
    let configuration: ClientConfiguration.Routing
    let logger: Logger
    /// Those that stand around every RPC of the client.
    let interceptors: RPCInterceptorChain
    /// What requests are made for, where their callers say nothing else.
    let source: String
    /// The same for a leader that is asked first.
    let leaderLabel: String
    /// Whose share of the cluster requests use.
    let resources: ResourceOptions

    init(
        cache: RegionCache, stores: StoreConnections, lifecycle: ClientLifecycle, codecs: CodecSource,
        configuration: ClientConfiguration.Routing = .init(), clock: any TimeSource,
        random: @escaping @Sendable () -> Double, choice: (@Sendable () -> Double)? = nil,
        interceptors: RPCInterceptorChain = .init(), source: RequestSource = .init(),
        resources: ResourceOptions = .init(), logger: Logger
    ) {
        self.resources = resources
        self.interceptors = interceptors
        self.source = source.label
        self.leaderLabel = RequestSource.label(source.label, replica: "leader", retryOf: nil)
        self.choice = choice ?? random
        self.configuration = configuration
        self.cache = cache
        self.stores = stores
        self.lifecycle = lifecycle
        self.codecs = codecs
        self.clock = clock
        self.random = random
        self.logger = logger
    }

    // MARK: - One key

    /// Sends a request to the region that holds a key.
    ///
    /// - Parameter isRepeatable: false where doing it twice is not the same as doing it once, so that it must not be sent
    ///   again once it may have taken effect.
    func send<Request: RegionRequest, Response: RegionResponse>(
        _ method: RPCMethod<Request, Response>, _ request: Request, key: [UInt8], timeout: Duration, isWrite: Bool,
        isRepeatable: Bool = true, options: RequestOptions = .init()
    ) async throws(TiKVError) -> Response {
        var call = try await self.begin(
            timeout: timeout, isWrite: isWrite, isRepeatable: isRepeatable, options: options)
        defer { self.lifecycle.end() }
        do throws(TiKVError) {
            var request = request
            while true {
                let region = try await self.locate(key, &call)
                if let response = try await self.deliver(method, &request, to: region, &call) { return response }
            }
        } catch {
            throw call.final(error)
        }
    }

    /// Begins a call, which must end with the lifecycle's `end()`: its time runs from here. Waits until the client runs.
    func begin(
        timeout: Duration, isWrite: Bool, isRepeatable: Bool = true, options: RequestOptions = .init()
    ) async throws(TiKVError) -> RegionCall {
        var options = options
        if self.configuration.readsFromLeadersOnly, !options.replica.isPlain || options.replica.dependsOnStores {
            options.replica = options.replica.asLeaderRead
        }
        var call = RegionCall(
            deadline: Deadline(after: timeout, from: self.clock.now), isWrite: isWrite, options: options)
        call.isRepeatable = isRepeatable
        call.began = self.clock.now
        try await self.lifecycle.begin(deadline: call.deadline)
        do throws(TiKVError) {
            call.codec = try await self.codecs.codec(deadline: call.deadline)
        } catch {
            self.lifecycle.end()
            throw error
        }
        return call
    }

    // MARK: - Locating

    /// The region that holds a key.
    func locate(_ key: [UInt8], _ call: inout RegionCall) async throws(TiKVError) -> CachedRegion {
        if let region = self.cache.known(containing: key, now: self.clock.now) { return region }
        return try await self.loaded(&call) { deadline async throws(TiKVError) in
            try await self.cache.load(containing: key, deadline: deadline)
        }
    }

    /// The region that holds the keys just before `key`; an empty key stands for the end of all keys.
    func locate(before key: [UInt8], _ call: inout RegionCall) async throws(TiKVError) -> CachedRegion {
        if let region = self.cache.known(before: key, now: self.clock.now) { return region }
        return try await self.loaded(&call) { deadline async throws(TiKVError) in
            try await self.cache.load(before: key, deadline: deadline)
        }
    }

    /// The region with an id.
    func locate(id: UInt64, _ call: inout RegionCall) async throws(TiKVError) -> CachedRegion {
        if let region = await self.cache.known(id: id, now: self.clock.now) { return region }
        return try await self.loaded(&call) { deadline async throws(TiKVError) in
            try await self.cache.load(id: id, deadline: deadline)
        }
    }

    /// The region that holds a span's start; where it isn't known, those after it are asked for at the same time.
    func locate(startOf span: KeySpan, _ call: inout RegionCall) async throws(TiKVError) -> CachedRegion {
        if let region = self.cache.known(containing: span.start, now: self.clock.now) { return region }
        return try await self.loaded(&call) { deadline async throws(TiKVError) in
            try await self.cache.load(startOf: span, deadline: deadline)
        }
    }

    /// Asks until there is an answer.
    private func loaded(
        _ call: inout RegionCall, _ load: (Deadline) async throws(TiKVError) -> RegionCache.Found
    ) async throws(TiKVError) -> CachedRegion {
        while true {
            try self.check(call)
            let found: RegionCache.Found
            do throws(TiKVError) {
                found = try await load(call.deadline)
            } catch {
                throw call.failed(toAskPD: error, hasDeadlinePassed: call.deadline.hasPassed(at: self.clock.now))
            }
            switch found {
            case .region(let region): return region
            case .nothing(let reason):
                // Why it was asked for says more.
                call.recordIfNothing(.regionUnavailable, reason.words)
                try await self.wait(.regionMiss, &call)
            }
        }
    }

    // MARK: - Waiting

    /// Throws where the call must not go on.
    func check(_ call: RegionCall) throws(TiKVError) {
        if Task.isCancelled { throw TiKVError(.cancelled, "the task was cancelled") }
        if self.lifecycle.isClosed { throw TiKVError(.clientClosed, "the client is closed") }
        if call.deadline.hasPassed(at: self.clock.now) { throw call.expired() }
    }

    /// Waits before the next try; throws where no time for one is left.
    func wait(_ kind: BackoffKind, hint: Duration? = nil, _ call: inout RegionCall) async throws(TiKVError) {
        try self.check(call)
        #if FAILPOINTS
        if Failpoint.backoffSkipsSleep.value() != nil { return }
        #endif
        let now = self.clock.now
        let remaining = call.deadline.remaining(at: now)
        guard let delay = call.backoff.next(kind, remaining: remaining, random: self.random(), hint: hint) else {
            throw call.expired()
        }
        self.logger.log(
            .trace, "waiting before the next try",
            [.backoff: kind.name, .delay: "\(delay)", .attempt: call.backoff.attempts])
        call.recorder?.recordBackoff(kind, delay)
        do throws(CancellationError) {
            try await self.clock.sleep(until: now.advanced(by: delay))
        } catch {
            throw TiKVError(.cancelled, "the task was cancelled")
        }
        try self.check(call)
    }
}
