// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import SwiftProtobuf
import Synchronization
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// The request pipeline with a PD and stores that a test plays, in virtual time.
final class PipelineHarness: Sendable {
    typealias Handler = @Sendable (_ request: any Message) async throws(RPCError) -> any Message

    let regions: ModelRegions
    let clock: VirtualClock
    let lifecycle: ClientLifecycle
    let cache: RegionCache
    let stores: StoreConnections
    let sender: RegionRequestSender
    let background = BackgroundWork()
    private let script: Script

    private final class Script: Sendable {
        let handlers = Mutex<[String: Handler]>([:])
        let requests = Mutex<[(host: String, request: any Message)]>([])
        let options = Mutex<[CallOptions]>([])
        let retired = Mutex(0)
        let channels = Mutex<[String: ScriptedChannel]>([:])
        let feedback = Mutex<[String: @Sendable (StoreFeedback) -> Void]>([:])
        /// Hosts that answer to no health check, though they may have a handler.
        let dead = Mutex<Set<String>>([])
        let probes = Mutex<[String]>([])
        let watched = Mutex<[UInt64]>([])

        func channel(
            _ address: PeerAddress, feedback: @escaping @Sendable (StoreFeedback) -> Void
        ) -> any RPCChannel {
            self.feedback.withLock { $0[address.host] = feedback }
            let channel = ScriptedChannel { call, request, options throws(RPCError) in
                if call == HealthRPC.check.name {
                    self.probes.withLock { $0.append(address.host) }
                    guard self.handlers.withLock({ $0[address.host] }) != nil,
                        !self.dead.withLock({ $0.contains(address.host) })
                    else { throw RPCError(.unavailable, "connection refused", delivery: .notSent) }
                    return HealthRPC.Response(HealthRPC.serving)
                }
                self.options.withLock { $0.append(options) }
                self.requests.withLock { $0.append((address.host, request)) }
                guard let handler = self.handlers.withLock({ $0[address.host] }) else {
                    throw RPCError(.unavailable, "connection refused", delivery: .notSent)
                }
                return try await handler(request)
            }
            self.channels.withLock { $0[address.host] = channel }
            return channel
        }
    }

    init(
        _ regions: [RegionDescription], jumps: Bool = true, runs: Bool = true,
        configuration: ClientConfiguration.RegionCache = .init(), routing: ClientConfiguration.Routing = .init(),
        codec: KeyCodec = .v1(.raw), interceptors: [any RPCInterceptor] = [], source: RequestSource = .init(),
        onHealth: @escaping @Sendable (StoreFeedback.Health) -> Void = { _ in }
    ) {
        let clock = VirtualClock(jumps: jumps)
        let script = Script()
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        self.script = script
        self.clock = clock
        self.regions = ModelRegions(regions)
        self.lifecycle = ClientLifecycle(clock: clock)
        let codecs = CodecSource(codec, clock: clock)
        self.stores = StoreConnections(
            source: self.regions, clock: clock, logger: logger, probeTimeout: routing.livenessTimeout,
            onHealth: onHealth,
            makeChannel: { script.channel($0, feedback: $1) },
            retire: { [background] number in
                script.retired.withLock { $0 += 1 }
                background.add(.closeRetired(number))
            },
            watch: { id in script.watched.withLock { $0.append(id) } })
        self.cache = RegionCache(
            source: CodecRegionSource(source: self.regions, codecs: codecs), stores: self.stores,
            configuration: configuration, maximumKeySize: 16, clock: clock, random: { 0.5 }, logger: logger,
            refresh: { [background] id in background.add(.refreshBuckets(id)) })
        // Of several that are as good, the first.
        self.sender = RegionRequestSender(
            cache: self.cache, stores: self.stores, lifecycle: self.lifecycle, codecs: codecs, configuration: routing,
            clock: clock, random: { 0.5 }, choice: { 0 }, interceptors: RPCInterceptorChain(interceptors),
            source: source, logger: logger)
        if runs { try? self.lifecycle.start() }
    }

    /// What the store at this host answers; a store without a handler can't be reached.
    func on(_ host: String, _ handler: Handler?) {
        self.script.handlers.withLock { $0[host] = handler }
    }

    /// Whether the store at this host answers to health checks; those without a handler don't.
    func setDead(_ host: String, _ isDead: Bool = true) {
        self.script.dead.withLock { if isDead { $0.insert(host) } else { $0.remove(host) } }
    }

    /// Whom health checks went to so far.
    var probes: [String] { self.script.probes.withLock { $0 } }

    /// Whom requests went to so far, in order.
    var hosts: [String] { self.script.requests.withLock { $0.map(\.host) } }

    var requests: [any Message] { self.script.requests.withLock { $0.map(\.request) } }

    /// How the requests were sent.
    var options: [CallOptions] { self.script.options.withLock { $0 } }

    /// The store at this host says something about itself beside its answers.
    func report(_ feedback: StoreFeedback, from host: String) {
        self.script.feedback.withLock { $0[host] }?(feedback)
    }

    /// The stores that somebody was asked to look after, in order.
    var watched: [UInt64] { self.script.watched.withLock { $0 } }

    var retiredChannels: Int { self.script.retired.withLock { $0 } }

    /// Whether the connections to this host were closed.
    func isShutDown(_ host: String) -> Bool { self.script.channels.withLock { $0[host]?.isShutDown } == true }

    // MARK: - Calls

    func get(
        _ key: String = "k", timeout: Duration = .seconds(20), options: RequestOptions = .init()
    ) async throws(TiKVError) -> Kvrpcpb_RawGetResponse {
        var request = Kvrpcpb_RawGetRequest()
        request.key.append(contentsOf: key.utf8)
        return try await self.sender.send(
            TikvpbTikvRPC.rawGet, request, key: Array(key.utf8), timeout: timeout, isWrite: false, options: options)
    }

    func put(_ key: String = "k", timeout: Duration = .seconds(20)) async throws(TiKVError) {
        var request = Kvrpcpb_RawPutRequest()
        request.key.append(contentsOf: key.utf8)
        let _: Kvrpcpb_RawPutResponse = try await self.sender.send(
            TikvpbTikvRPC.rawPut, request, key: Array(key.utf8), timeout: timeout, isWrite: true)
    }

    // MARK: - Answers

    static func value(_ text: String) -> Kvrpcpb_RawGetResponse {
        var response = Kvrpcpb_RawGetResponse()
        response.value.append(contentsOf: text.utf8)
        return response
    }

    static func regionError(_ make: (inout Errorpb_Error) -> Void) -> Kvrpcpb_RawGetResponse {
        var response = Kvrpcpb_RawGetResponse()
        make(&response.regionError)
        return response
    }

    static func putError(_ make: (inout Errorpb_Error) -> Void) -> Kvrpcpb_RawPutResponse {
        var response = Kvrpcpb_RawPutResponse()
        make(&response.regionError)
        return response
    }

    /// Answers in this order; the last one for ever.
    static func sequence(_ answers: [any Message]) -> Handler {
        let rest = Answers(answers)
        return { _ throws(RPCError) in rest.next() }
    }

    private final class Answers: Sendable {
        private let rest: Mutex<[any Message]>

        init(_ answers: [any Message]) { self.rest = Mutex(answers) }

        func next() -> any Message {
            self.rest.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
        }
    }
}
