// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
internal import Synchronization
import TiKVProto
import TiKVTransport

extension PDClient {
    /// A timestamp above all that PD has handed out before this call. Needs `run()`; until then it waits.
    package nonisolated func timestamp(deadline: Deadline) async throws(PDError) -> Timestamp {
        try await self.oracle.timestamp(deadline: deadline)
    }

    /// The lowest of the timestamps at which the servers are that hand them out: what is before it is in the past for all
    /// keyspaces. Where PD hands out all of them itself, just a timestamp.
    package nonisolated func minimumTimestamp(deadline: Deadline) async throws(PDError) -> Timestamp {
        do throws(PDError) {
            let response = try await self.call(PdpbPDRPC.getMinTS, Pdpb_GetMinTSRequest(), deadline: deadline)
            guard let response, response.hasTimestamp else {
                throw PDError(.server, "PD answered without a timestamp")
            }
            return Timestamp(
                physical: UInt64(clamping: response.timestamp.physical),
                logical: UInt64(clamping: response.timestamp.logical))
        } catch {
            guard error.code == .unimplemented else { throw error }
            return try await self.timestamp(deadline: deadline)
        }
    }

    /// The timestamp that was set from outside for reads of the past; zero while none is set.
    package nonisolated func externalTimestamp(deadline: Deadline) async throws(PDError) -> Timestamp {
        let response = try await self.call(
            PdpbPDRPC.getExternalTimestamp, Pdpb_GetExternalTimestampRequest(), deadline: deadline)
        return Timestamp(rawValue: response?.timestamp ?? 0)
    }

    /// Sets that timestamp. PD refuses one that is in the future, or before the one that is set.
    package nonisolated func setExternalTimestamp(_ timestamp: Timestamp, deadline: Deadline) async throws(PDError) {
        var request = Pdpb_SetExternalTimestampRequest()
        request.timestamp = timestamp.rawValue
        _ = try await self.call(PdpbPDRPC.setExternalTimestamp, request, deadline: deadline)
    }

    // MARK: - The stream

    /// Opens a stream of timestamps to whoever hands them out, for the length of `body`.
    ///
    /// - Parameter number: which of the streams it is; they go to different members where followers may pass them on.
    nonisolated func withTSOStream(
        number: Int = 0, _ body: (any TSOStream) async throws(RPCError) -> Void
    ) async throws(TSOFailure) {
        let deadline = Deadline(after: self.configuration.requestTimeout, from: self.clock.now)
        var failure = TSOFailure()
        var found: PDTarget?
        do throws(PDError) {
            found = try await self.target(deadline: deadline, attempts: &failure.attempts)
        } catch {
            // Neither of these is about those who wait.
            if error.code != .deadlineExceeded, error.code != .unreachable, error.code != .cancelled {
                failure.error = error
            }
        }
        guard let target = found else { throw failure }
        let address: PeerAddress
        let error: RPCError
        if let (server, group) = await self.timestampServer(target, deadline: deadline) {
            address = server
            error = await self.withServiceStream(server, group, target, body)
            self.tsoService.withLock { $0.failed(server) }
        } else if let follower = self.tsoFollower(number, target) {
            address = follower.address
            error = await self.withPDStream(
                target, over: follower.channel, metadata: [PDTarget.forwardedHost: target.url], body)
            // Another member's turn, the leader's among them.
            self.tsoShift.add(1, ordering: .relaxed)
        } else {
            address = target.address
            error = await self.withPDStream(target, over: target.channel, metadata: target.metadata, body)
            self.tsoShift.add(1, ordering: .relaxed)
            if case .leaderLost = PDVerdict(error, isCancelled: false) {
                await self.failed(target, isUnreachable: error.delivery != .answered)
            }
        }
        self.logger.debug(
            "stream of timestamps ended", metadata: ["pd.address": "\(address)", "error": "\(error.code)"])
        switch error.code {
        case .permissionDenied, .unauthenticated, .unimplemented:
            failure.error = PDError(
                .server, "PD refuses to hand out timestamps, with status \(error.code)", detail: error.message)
        default:
            let isSilence = error.code == .deadlineExceeded
            failure.attempts.record(address, "\(error)", isSilence ? .silence : .failure)
        }
        throw failure
    }

    private nonisolated func withPDStream(
        _ target: PDTarget, over channel: any RPCChannel, metadata: Metadata,
        _ body: (any TSOStream) async throws(RPCError) -> Void
    ) async -> RPCError {
        await Self.ending {
            try await channel.withMessages(PdpbPDRPC.tso, options: CallOptions(metadata: metadata)) {
                try await body(MessageTSOStream(stream: $0, header: self.header(target.clusterID)))
            }
        }
    }

    /// The follower that a stream goes over; nil where it goes to the leader itself.
    private nonisolated func tsoFollower(_ number: Int, _ target: PDTarget) -> PDFollower? {
        guard self.configuration.timestamps.usesFollowers, !target.isForwarded,
            case .open(_, let followers) = self.published.withLock({ $0 })
        else { return nil }
        let shift = self.tsoShift.load(ordering: .relaxed)
        let member = Int((shift &+ number).magnitude % (followers.count + 1).magnitude)
        return member == 0 ? nil : followers[member - 1]
    }

    private nonisolated func withServiceStream(
        _ server: PeerAddress, _ group: TSOServiceTracker.Group, _ target: PDTarget,
        _ body: (any TSOStream) async throws(RPCError) -> Void
    ) async -> RPCError {
        let header = self.serviceHeader(target.clusterID, group: group.id)
        let channel = await self.channel(server)
        return await Self.ending {
            try await channel.withMessages(TsopbTSORPC.tso, options: CallOptions()) {
                try await body(MessageTSOStream(stream: $0, header: header))
            }
        }
    }

    private nonisolated static func ending(_ body: () async throws -> Void) async -> RPCError {
        do {
            try await body()
            return RPCError(.unavailable, "the stream of timestamps is at its end", delivery: .answered)
        } catch let error as RPCError {
            return error
        } catch {
            return RPCError(.unknown, "\(error)")
        }
    }

    // MARK: - A service of its own

    /// Who hands out the keyspace's timestamps where PD doesn't; nil where it does, or nobody can say.
    private nonisolated func timestampServer(
        _ target: PDTarget, deadline: Deadline
    ) async -> (PeerAddress, TSOServiceTracker.Group)? {
        let options = CallOptions(
            timeout: deadline.remaining(at: self.clock.now), metadata: target.metadata)
        // PD passes timestamps on where there is such a service, and is asked itself where this question fails.
        guard
            let info = try? await target.channel.unary(
                PdpbPDRPC.getClusterInfo, Pdpb_GetClusterInfoRequest(), options: options)
        else { return nil }
        let servers = self.tsoService.withLock { tracker in
            tracker.received(isIndependent: info.serviceModes.contains(.apiSvcMode), urls: info.tsoUrls)
            return tracker.candidates
        }
        for server in servers {
            var request = Tsopb_FindGroupByKeyspaceIDRequest()
            request.header = self.serviceHeader(target.clusterID, group: 0)
            request.keyspaceID = self.keyspaceID
            let options = CallOptions(timeout: deadline.remaining(at: self.clock.now))
            guard
                let response = try? await self.channel(server).unary(
                    TsopbTSORPC.findGroupByKeyspaceID, request, options: options)
            else { continue }
            let group = TSOServiceTracker.group(
                id: response.keyspaceGroup.id,
                members: response.keyspaceGroup.members.map { ($0.address, $0.isPrimary) })
            if let primary = group.primary {
                self.tsoService.withLock { $0.found(primary) }
                return (primary, group)
            }
        }
        return nil
    }

    private nonisolated func serviceHeader(_ clusterID: UInt64, group: UInt32) -> Tsopb_RequestHeader {
        var header = Tsopb_RequestHeader()
        header.clusterID = clusterID
        header.keyspaceID = self.keyspaceID
        header.keyspaceGroupID = group
        return header
    }
}
