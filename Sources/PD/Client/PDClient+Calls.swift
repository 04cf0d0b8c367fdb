// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
internal import SwiftProtobuf
internal import Synchronization
import TiKVProto
import TiKVTransport

extension PDClient {
    /// Asks a question whose messages have PD's own headers.
    ///
    /// - Returns: nil where PD has no such thing.
    nonisolated func call<Request: PDRequest, Response: PDResponse>(
        _ method: RPCMethod<Request, Response>, _ request: Request, route: PDRoute = .leader, deadline: Deadline
    ) async throws(PDError) -> Response? {
        try await self.ask(method, request, route: route, deadline: deadline) { request, clusterID in
            request.header = self.header(clusterID)
        } verdict: { response, clusterID in
            PDVerdict(response.header, expectedClusterID: clusterID)
        }
    }

    nonisolated func header(_ clusterID: UInt64) -> Pdpb_RequestHeader {
        var header = Pdpb_RequestHeader()
        header.clusterID = clusterID
        header.callerID = self.configuration.callerID
        return header
    }

    /// Asks a question until somebody answers it or its time is over.
    ///
    /// A question that changes something may be asked again after the first one got no answer: all that PD offers has the
    /// same effect the second time.
    ///
    /// - Parameters:
    ///   - stamp: writes into the request which cluster it is for.
    ///   - verdict: reads what an answer's header says.
    /// - Returns: nil where PD has no such thing.
    nonisolated func ask<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, _ request: Request, route: PDRoute = .leader, deadline: Deadline,
        stamp: (inout Request, UInt64) -> Void, verdict read: (Response, UInt64) -> PDVerdict
    ) async throws(PDError) -> Response? {
        var attempts = PDAttempts()
        var backoff = Backoff()
        var failed: PeerAddress?
        var request = request
        if case .anyMember(isShared: true) = route, let (follower, clusterID) = self.nextMember() {
            stamp(&request, clusterID)
            let answer = await self.askFollower(follower, method, request, clusterID, deadline: deadline, read)
            if let answer { return answer }
        }
        while true {
            guard let target = try await self.target(deadline: deadline, attempts: &attempts) else {
                if case .anyMember = route {
                    let answer = await self.askFollowers(method, request, deadline: deadline, stamp, read)
                    if let answer { return answer }
                }
                try await self.wait(&backoff, deadline: deadline, attempts: attempts)
                continue
            }
            // Asking the same one again, and not its successor: not before a while.
            if target.address == failed {
                failed = nil
                try await self.wait(&backoff, deadline: deadline, attempts: attempts)
                continue
            }
            stamp(&request, target.clusterID)
            let verdict: PDVerdict
            var isUnreachable = false
            let start = self.clock.now
            // With less time than a member has, silence is nobody's fault.
            let isHurried = deadline.remaining(at: start) < self.configuration.requestTimeout
            do throws(RPCError) {
                let response = try await self.unary(
                    target.channel, method, request, metadata: target.metadata, deadline: deadline)
                target.silence.end()
                verdict = read(response, target.clusterID)
                if case .answered = verdict { return response }
            } catch {
                verdict = PDVerdict(error, isCancelled: Task.isCancelled)
                isUnreachable = error.delivery != .answered
            }
            switch verdict {
            case .leaderLost(let reason, let kind) where isHurried && (kind == .silence || kind == .cutShort):
                attempts.record(target.address, reason, kind)
                let limit = self.configuration.requestTimeout
                if target.silence.heardNothing(from: start, to: self.clock.now, limit: limit) {
                    await self.failed(target, isUnreachable: true)
                }
                throw attempts.expired()
            case .answered:
                continue
            case .notFound:
                return nil
            case .leaderLost(let reason, let kind):
                self.logger.debug(
                    "PD leader lost",
                    metadata: ["pd.address": "\(target.address)", "pd.call": "\(method.name)", "error": "\(reason)"])
                attempts.record(target.address, reason, kind)
                await self.failed(target, isUnreachable: isUnreachable)
                failed = target.address
            case .later(let reason):
                attempts.record(target.address, reason)
                try await self.wait(&backoff, deadline: deadline, attempts: attempts)
            case .fail(var error):
                error.attempts = attempts.list
                throw error
            }
        }
    }

    nonisolated func wait(
        _ backoff: inout Backoff, deadline: Deadline, attempts: PDAttempts
    ) async throws(PDError) {
        let now = self.clock.now
        guard let delay = backoff.next(.pdRPC, remaining: deadline.remaining(at: now), random: self.random()) else {
            throw attempts.expired()
        }
        do {
            try await self.clock.sleep(until: now.advanced(by: delay))
        } catch {
            throw PDError(.cancelled, "cancelled while waiting to ask PD again", attempts: attempts.list)
        }
    }

    private nonisolated func unary<Request: Message, Response: Message>(
        _ channel: any RPCChannel, _ method: RPCMethod<Request, Response>, _ request: Request, metadata: Metadata,
        deadline: Deadline
    ) async throws(RPCError) -> Response {
        let remaining = deadline.remaining(at: self.clock.now)
        guard remaining > .zero else { throw RPCError(.deadlineExceeded, "", delivery: .notSent) }
        let options = CallOptions(timeout: min(self.configuration.requestTimeout, remaining), metadata: metadata)
        return try await channel.unary(method, request, options: options)
    }

    // MARK: - Followers

    /// The follower whose turn it is; nil where that of the leader has come, or nobody is known.
    private nonisolated func nextMember() -> (PDFollower, clusterID: UInt64)? {
        guard case .open(let target?, let followers) = self.published.withLock({ $0 }), !followers.isEmpty else {
            return nil
        }
        let turn = self.turn.add(1, ordering: .relaxed).newValue % (followers.count + 1)
        return turn < followers.count ? (followers[turn], target.clusterID) : nil
    }

    /// A follower's own answer; nil where it has none, which only the leader can put right.
    private nonisolated func askFollower<Request: Message, Response: Message>(
        _ follower: PDFollower, _ method: RPCMethod<Request, Response>, _ request: Request, _ clusterID: UInt64,
        deadline: Deadline, _ read: (Response, UInt64) -> PDVerdict
    ) async -> Response? {
        do throws(RPCError) {
            let response = try await self.unary(
                follower.channel, method, request, metadata: [PDTarget.followerHandling: "true"], deadline: deadline)
            if case .answered = read(response, clusterID) { return response }
        } catch {
            self.logger.trace(
                "PD follower has no answer",
                metadata: ["pd.address": "\(follower.address)", "pd.call": "\(method.name)", "error": "\(error.code)"])
        }
        return nil
    }

    /// Asks one follower after the other, while nobody leads.
    private nonisolated func askFollowers<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, _ request: Request, deadline: Deadline,
        _ stamp: (inout Request, UInt64) -> Void, _ read: (Response, UInt64) -> PDVerdict
    ) async -> Response? {
        guard let clusterID = await self.clusterID, case .open(_, let followers) = self.published.withLock({ $0 })
        else { return nil }
        var request = request
        stamp(&request, clusterID)
        for follower in followers {
            let answer = await self.askFollower(follower, method, request, clusterID, deadline: deadline, read)
            if let answer { return answer }
        }
        return nil
    }

    // MARK: - Regions

    /// Asks for regions: any member may answer, and where PD is overloaded the question is held back.
    nonisolated func askForRegions<Request: PDRequest, Response: PDResponse>(
        _ method: RPCMethod<Request, Response>, _ request: Request, options: RegionOptions, deadline: Deadline
    ) async throws(PDError) -> Response? {
        guard self.breaker.withLock({ $0.admits(at: self.clock.now) }) else {
            throw PDError(.unreachable, "questions for regions are held back: PD is overloaded")
        }
        let route = PDRoute.anyMember(isShared: options.allowFollower && self.configuration.followerHandling)
        let isHurried = deadline.remaining(at: self.clock.now) < self.configuration.requestTimeout
        do throws(PDError) {
            let response = try await self.call(method, request, route: route, deadline: deadline)
            self.breaker.withLock { $0.ended(overloaded: false, at: self.clock.now) }
            return response
        } catch {
            switch error.code {
            // The caller went away, or had no time for an answer.
            case .cancelled, .closed: self.breaker.withLock { $0.abandoned() }
            case .deadlineExceeded where isHurried: self.breaker.withLock { $0.abandoned() }
            default:
                let isOverload = error.code == .unreachable || error.code == .deadlineExceeded
                self.breaker.withLock { $0.ended(overloaded: isOverload, at: self.clock.now) }
            }
            throw error
        }
    }
}
