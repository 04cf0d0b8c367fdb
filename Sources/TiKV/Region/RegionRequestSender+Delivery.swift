// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import SwiftProtobuf
import TiKVPD
import TiKVProto
import TiKVTransport

extension RegionRequestSender {
    /// Where one try goes.
    struct Target: Sendable {
        var choice: ReplicaSelector.Choice
        var store: StoreHandle
        /// The store that stands between, where there is one.
        var proxy: StoreHandle?

        /// The one that the request is sent to.
        var receiver: StoreHandle { self.proxy ?? self.store }
    }

    /// How long PD may take to say whether a store is where it was.
    private static let storeCheckTimeout = Duration.seconds(2)

    /// Sends a request to a region, and again as long as it is this region that it should go to. Its keys, and those of the
    /// answer, are the application's.
    ///
    /// - Returns: nil where the request must be routed anew.
    func deliver<Request: RegionRequest, Response: RegionResponse>(
        _ method: RPCMethod<Request, Response>, _ request: inout Request, to region: CachedRegion,
        _ call: inout RegionCall
    ) async throws(TiKVError) -> Response? {
        guard call.codec.changesKeys else { return try await self.transmit(method, &request, to: region, &call) }
        var encoded = call.codec.encode(request)
        return try await self.transmit(method, &encoded, to: region, &call)
    }

    /// The same, with the keys as the store knows them in the request, and the application's in the answer.
    private func transmit<Request: RegionRequest, Response: RegionResponse>(
        _ method: RPCMethod<Request, Response>, _ request: inout Request, to region: CachedRegion,
        _ call: inout RegionCall
    ) async throws(TiKVError) -> Response? {
        call.enterRegion()
        while true {
            guard let target = try await self.target(in: region, &call) else { return nil }
            let begin = self.clock.now
            let remaining = call.deadline.remaining(at: begin)
            guard remaining > .zero else { throw call.expired() }
            let isRetry = call.sends > 0
            call.sends += 1
            request.context = self.context(for: target, in: region, isRetry: isRetry, &call)
            if Request.endsWithItsSender, request.context.maxExecutionDurationMs == 0 {
                request.context.maxExecutionDurationMs = (self.limit(of: Request.patience) * 2 / 3).wireMilliseconds
            }
            var options = CallOptions(
                timeout: min(remaining, call.options.replica.readTimeout ?? self.limit(of: Request.patience)),
                priority: call.options.overridePriority)
            if target.proxy != nil { options.forwardedHost = "\(target.store.address)" }
            let record = region.replicas[target.choice.proxy ?? target.choice.index].store
            try self.take(record)
            let result: Result<Response, RPCError>
            do throws(TiKVError) {
                #if FAILPOINTS
                result = try await self.performAtFailpoints(
                    method, request, options: options, to: target.receiver, &call)
                #else
                result = try await self.perform(method, request, options: options, to: target.receiver, &call)
                #endif
            } catch {
                self.giveBack(record)
                throw error
            }
            self.giveBack(record)
            let latency = begin.duration(to: self.clock.now)
            if let recorder = call.recorder {
                let access = Self.access(target, region, result)
                recorder.record(method.name, took: latency, access, result.details)
                if call.options.replica.isStaleRead, case .success(let response) = result {
                    recorder.recordStaleRead(
                        access, isLocal: record.labels["zone"].map { $0 == self.configuration.zone } ?? false,
                        bytes: Self.size(request) + Self.size(response))
                }
            }
            let isAgain: Bool
            switch result {
            case .success(var response):
                record.answered(after: latency)
                do throws(KeyCodecError) {
                    try call.codec.decode(&response)
                } catch {
                    throw TiKVError(error)
                }
                if response.latestBucketsVersion != 0 {
                    self.cache.noteBuckets(
                        version: response.latestBucketsVersion, sent: request.context.bucketsVersion, of: region)
                }
                guard response.hasRegionError else {
                    self.succeeded(target, in: region, &call)
                    return response
                }
                self.needSelector(region, &call)
                call.selector?.noteTime(latency, of: target.choice)
                isAgain = try await self.react(to: response.regionError, from: target, region, &call)
            case .failure(let error):
                #if FAILPOINTS
                try self.failAtFailpoint(error, &call)
                #endif
                self.needSelector(region, &call)
                call.selector?.noteTime(latency, of: target.choice)
                isAgain = try await self.react(to: error, from: target, region, &call)
            }
            guard isAgain else { return nil }
        }
    }

    private func limit(of patience: Patience) -> Duration {
        switch patience {
        case .short: self.configuration.attemptTimeout
        case .long: self.configuration.scanAttemptTimeout
        case .coprocessor: self.configuration.coprocessorAttemptTimeout
        }
    }

    private func succeeded(
        _ target: Target, in region: CachedRegion, _ call: inout RegionCall
    ) {
        guard call.selector != nil else { return }
        var effects: [ReplicaSelector.Effect] = []
        call.selector?.succeeded(target.choice, leader: region.leaderIndex, effects: &effects)
        self.applyNow(effects, to: region)
    }

    /// Bytes of a message; looked at only where somebody wants to know it.
    private static func size(_ message: some Message) -> Int {
        let bytes: [UInt8]? = try? message.serializedBytes()
        return bytes?.count ?? 0
    }

    /// What is told of a try.
    private static func access(
        _ target: Target, _ region: CachedRegion, _ result: Result<some RegionResponse, RPCError>
    ) -> RequestStatistics.Access {
        let error: String?
        switch result {
        case .success(let response):
            error = response.hasRegionError ? RegionErrorReaction.name(of: response.regionError) : nil
        case .failure(let failure): error = "\(failure.code)"
        }
        return RequestStatistics.Access(
            regionID: region.id, storeID: target.store.id, address: "\(target.receiver.address)",
            peerID: region.replicas[target.choice.index].peer.id,
            isReplicaRead: target.choice.isReplicaRead, isStaleRead: target.choice.isStaleRead, error: error)
    }

    // MARK: - Choosing

    /// Where the next try goes; nil where the request must be routed anew.
    private func target(in region: CachedRegion, _ call: inout RegionCall) async throws(TiKVError) -> Target? {
        if call.selector == nil, call.firstTry == nil, call.options.replica.isPlain, region.invalidation == nil {
            let leader = region.leaderIndex
            let replica = region.replicas[leader]
            if let store = replica.store.handle(at: replica.epoch) {
                call.firstTry = leader
                return Target(choice: ReplicaSelector.Choice(index: leader), store: store)
            }
        }
        self.needSelector(region, &call)
        while true {
            try self.check(call)
            try await self.resolveDoubtful(in: region, call)
            var effects: [ReplicaSelector.Effect] = []
            let views = self.views(of: region, call.options.replica)
            let choice = call.selector?.choose(
                leader: region.leaderIndex, proxy: region.proxy, stores: views,
                isRegionValid: region.invalidation == nil, random: self.choice(), effects: &effects)
            self.applyNow(effects, to: region)
            guard let choice else {
                try await self.nobodyLeft(in: region, &call)
                return nil
            }
            guard let store = try await self.store(of: region.replicas[choice.index], &call) else { continue }
            var proxy: StoreHandle?
            if let index = choice.proxy {
                guard let handle = try await self.store(of: region.replicas[index], &call) else { continue }
                proxy = handle
            }
            if let wait = call.selector?.owedWait(before: choice) {
                try await self.wait(wait.kind, hint: wait.hint, &call)
            }
            return Target(choice: choice, store: store, proxy: proxy)
        }
    }

    func needSelector(_ region: CachedRegion, _ call: inout RegionCall) {
        guard call.selector == nil else { return }
        var selector = ReplicaSelector(
            peers: region.replicas.map(\.peer), options: call.options.replica,
            isForwardingOn: self.configuration.isForwardingEnabled)
        if let first = call.firstTry { selector.noteAttempt(at: first) }
        call.selector = selector
    }

    /// How the stores of a region do.
    func views(of region: CachedRegion, _ options: ReplicaOptions) -> [ReplicaSelector.StoreView] {
        let now = self.clock.now
        return region.replicas.map { replica in
            let store = replica.store
            let state = store.resolveState
            return ReplicaSelector.StoreView(
                liveness: store.liveness, isEpochStale: replica.isEpochStale,
                isGone: state.isGone || store.engine != options.engine,
                isResolved: state == .resolved, isSlow: store.isSlow,
                isPreferred: (options.stores.isEmpty || options.stores.contains(store.id))
                    && store.matches(options.labels),
                estimatedWait: options.busyThreshold > .zero ? store.estimatedWait(at: now) : .zero)
        }
    }

    /// Asks PD about the stores that matter: the leader's where that is in doubt and needed, and all whose labels are not
    /// known where these matter. Others in doubt are looked after in the background.
    private func resolveDoubtful(in region: CachedRegion, _ call: RegionCall) async throws(TiKVError) {
        let options = call.options.replica
        let leader = options.mode == .leader ? region.leaderIndex : nil
        var needed: [StoreRecord] = []
        for (index, replica) in region.replicas.enumerated() {
            switch replica.store.resolveState {
            case .needsCheck where index == leader: needed.append(replica.store)
            case .needsCheck: self.stores.suspect(replica.store)
            case .unresolved where options.dependsOnStores: needed.append(replica.store)
            case .unresolved, .resolved, .tombstone, .unknownToPD: break
            }
        }
        if !needed.isEmpty { try await self.resolve(needed, call) }
    }

    /// Asks PD about stores, all at the same time; where it does not answer soon, what is known has to do.
    private func resolve(_ records: [StoreRecord], _ call: RegionCall) async throws(TiKVError) {
        let patience = Deadline(after: Self.storeCheckTimeout, from: self.clock.now)
        let limit = patience.instant < call.deadline.instant ? patience : call.deadline
        let failure = await withTaskGroup(of: TiKVError?.self) { group in
            for record in records {
                group.addTask {
                    do throws(TiKVError) {
                        _ = try await self.stores.resolve(record.id, deadline: limit)
                        return nil
                    } catch {
                        // Without its labels a store is not preferred, which is all; whoever is chosen is asked for again.
                        if !Task.isCancelled { record.keepPlace() }
                        return error
                    }
                }
            }
            return await group.first { $0 != nil } ?? nil
        }
        if let failure, call.deadline.hasPassed(at: self.clock.now) {
            throw call.failed(toAskPD: failure, hasDeadlinePassed: true)
        }
    }

    /// The store that a replica is on; nil where it is gone, or none that serves these requests.
    private func store(
        of replica: CachedRegion.Replica, _ call: inout RegionCall
    ) async throws(TiKVError) -> StoreHandle? {
        let id = replica.store.id
        if let store = replica.store.handle { return store }
        try self.check(call)
        // Where something is known PD is not waited for, which may be away.
        let patience = Deadline(after: Self.storeCheckTimeout, from: self.clock.now)
        let deadline =
            replica.store.lastHandle != nil && patience.instant < call.deadline.instant ? patience : call.deadline
        do throws(TiKVError) {
            if let store = try await self.stores.resolve(id, deadline: deadline) {
                return replica.store.engine == call.options.replica.engine ? store : nil
            }
        } catch {
            let hasPassed = call.deadline.hasPassed(at: self.clock.now)
            // While PD is away, what was known before may still be right.
            if !hasPassed, error.code != .cancelled, error.code != .clientClosed,
                let last = replica.store.lastHandle
            {
                replica.store.keepPlace()
                return last
            }
            throw call.failed(toAskPD: error, hasDeadlinePassed: hasPassed)
        }
        call.record(
            .regionUnavailable, "store \(id), which should hold the region, is gone", name: "a store that is gone")
        return nil
    }

    /// All replicas were tried, or none can be: waits, so that the region is looked up anew after a while.
    private func nobodyLeft(in region: CachedRegion, _ call: inout RegionCall) async throws(TiKVError) {
        if let began = call.began, region.replicas[region.leaderIndex].store.refusal(since: began) != nil {
            // What is known of the others may be from before: they may serve again, or refuse as well.
            for replica in region.replicas
            where replica.store.liveness != .reachable && replica.store.refusal(since: began) == nil {
                _ = await self.liveness(of: replica.store, call)
            }
            if let error = self.hopeless(region, call) { throw error }
        }
        if let wait = call.selector?.owedWait() { try await self.wait(wait.kind, hint: wait.hint, &call) }
        // One of those in doubt may be elsewhere by now.
        let doubtful = region.replicas.map(\.store).filter { $0.resolveState == .needsCheck }
        if !doubtful.isEmpty { try await self.resolve(doubtful, call) }
        let store = region.replicas[region.leaderIndex].store
        if store.liveness != .reachable {
            let address = store.lastHandle.map { " at \($0.address)" } ?? ""
            call.recordIfNothing(.storeUnreachable, "store \(store.id)\(address) does not answer")
            // Nobody else may be looking after it.
            _ = await self.liveness(of: store, call)
        } else {
            call.recordIfNothing(.regionUnavailable, "no replica of region \(region.id) can be asked")
        }
        try await self.wait(.regionMiss, &call)
    }

    /// The error where no further try can help: the leader's store can't be used for reasons that no connect will mend,
    /// and each of the others is such a store too, or has answered that it does not lead.
    private func hopeless(_ region: CachedRegion, _ call: RegionCall) -> TiKVError? {
        guard let began = call.began,
            let reason = region.replicas[region.leaderIndex].store.refusal(since: began)
        else { return nil }
        for (index, replica) in region.replicas.enumerated() where replica.store.refusal(since: began) == nil {
            guard call.selector?.replicas[index].marks.contains(.notLeader) == true else { return nil }
        }
        return call.hopeless(reason)
    }

    /// What a look at a store finds. A call without the time for one leaves it to others.
    func liveness(of record: StoreRecord, _ call: RegionCall) async -> StoreLiveness {
        guard call.deadline.remaining(at: self.clock.now) > self.stores.probeTimeout else {
            self.stores.suspect(record)
            return record.liveness
        }
        return await self.stores.probe(record)
    }

    // MARK: - Contexts

    private func context(
        for target: Target, in region: CachedRegion, isRetry: Bool, _ call: inout RegionCall
    ) -> Kvrpcpb_Context {
        var context = region.context(for: target.choice.index)
        if isRetry { context.isRetryRequest = true }
        if target.choice.isReplicaRead { context.replicaRead = true }
        if target.choice.isStaleRead { context.staleRead = true }
        let options = call.options
        let threshold = call.selector?.busyThreshold ?? options.replica.busyThreshold
        if threshold > .zero { context.busyThresholdMs = UInt32(clamping: threshold.wireMilliseconds) }
        options.apply(to: &context)
        if let time = options.replica.readTimeout, options.maximumExecutionTime == nil {
            context.maxExecutionDurationMs = time.wireMilliseconds
        }
        call.codec.stamp(&context)
        self.label(
            &context, target.choice, isLeader: target.choice.index == region.leaderIndex, isRetry: isRetry, &call)
        return context
    }

    /// Says what the request is part of, and which replica was asked first.
    private func label(
        _ context: inout Kvrpcpb_Context, _ choice: ReplicaSelector.Choice, isLeader: Bool, isRetry: Bool,
        _ call: inout RegionCall
    ) {
        let scoped = RequestSource.scoped
        if !isRetry, isLeader, !choice.isStaleRead, scoped == nil {
            call.firstSource = "leader"
            // The region's own context has it already.
            if context.requestSource != self.leaderLabel { context.requestSource = self.leaderLabel }
            return
        }
        let kind = isLeader ? "leader" : "follower"
        let first = call.firstSource ?? (choice.isStaleRead ? "stale_" : "") + kind
        call.firstSource = first
        context.requestSource = RequestSource.label(
            scoped?.label ?? self.source, replica: isRetry ? kind : first, retryOf: isRetry ? first : nil)
    }

    // MARK: - Limits

    /// Counts a request against its store's limit.
    private func take(_ record: StoreRecord) throws(TiKVError) {
        let limit = self.configuration.maximumRequestsPerStore
        guard limit > 0, !record.take(limit) else { return }
        throw TiKVError(
            .storeLimitReached, "store \(record.id) has \(limit) requests of this client under way already")
    }

    private func giveBack(_ record: StoreRecord) {
        if self.configuration.maximumRequestsPerStore > 0 { record.giveBack() }
    }
}

extension Result where Success: RegionResponse, Failure == RPCError {
    /// What the answer says that it cost.
    fileprivate var details: Kvrpcpb_ExecDetailsV2? {
        guard case .success(let response) = self, response.hasExecDetailsV2 else { return nil }
        return response.execDetailsV2
    }
}
