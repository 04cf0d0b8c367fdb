// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What one member of PD serves. All members look at the same model, so they differ in nothing but who leads.
struct PDService: Sendable {
    /// Who may answer a call.
    enum Access: Sendable {
        /// Every member, whatever cluster the request is for.
        case anyMember
        /// The leader.
        case leader
        /// The leader, and a follower where the call says that this will do.
        case regions
    }

    let model: SharedModel
    let memberID: Int

    func register(in services: inout RPCServices) {
        self.registerCluster(in: &services)
        self.registerSafePoints(in: &services)
        self.registerGCStates(in: &services)
        self.registerRegions(in: &services)
        self.registerKeyspaces(in: &services)
        self.registerMeta(in: &services)
        self.registerGlobalConfig(in: &services)
        self.registerResourceGroups(in: &services)
        self.registerTimestamps(in: &services)
    }

    /// Registers a call. As in PD, a request for another cluster, or for none, fails with the status
    /// FAILED_PRECONDITION, except for the calls by which a client learns the cluster's id; and a member that does not lead
    /// answers UNAVAILABLE.
    ///
    /// - Parameters:
    ///   - changes: whether those who watch have to look afterwards.
    ///   - header: the request's header; nil where the call has none to check.
    ///   - take: runs under the model's lock. The last argument is Unix time in milliseconds.
    ///   - answer: runs outside of it.
    func register<Request: Message, Response: Message, Taken>(
        _ method: RPCMethod<Request, Response>, in services: inout RPCServices, access: Access = .leader,
        changes: Bool = false, header: @escaping @Sendable (Request) -> Pdpb_RequestHeader?,
        take: @escaping @Sendable (inout ClusterModel, Request, UInt64) throws -> Taken,
        answer: @escaping @Sendable (Taken, Pdpb_ResponseHeader) -> Response
    ) {
        services.register(
            method,
            unary: { (request: Request, call: ServerCall) async throws -> Response in
                let (member, fault) = try self.begin(method.name, call)
                let perform: () throws -> Response = {
                    let clock = self.model.milliseconds
                    let (taken, clusterID) = try self.model.withLock { model in
                        try model.admit(member, access, call.metadata)
                        if let header = header(request) { try model.checkCluster(header) }
                        return (try take(&model, request, clock + model.clockOffsetMilliseconds), model.pdClusterID)
                    }
                    if changes { self.model.pdChanges.add() }
                    return answer(taken, .with { $0.clusterID = clusterID })
                }
                guard let fault else { return try perform() }
                return try await fault.run(call, regionErrorAnswer: { _ in Response() }, perform: perform)
            })
    }

    /// Notes a request.
    ///
    /// - Returns: the member that it is for, and what is to go wrong with it.
    func begin(_ rpc: String, _ call: ServerCall) throws(RPCError) -> (Int, EmbeddedCluster.Fault?) {
        try self.model.withLock { model throws(RPCError) in
            let own = model.begin(rpc, on: .placementDriver(self.memberID), regionID: nil)
            let member = try model.member(for: call.metadata, at: self.memberID)
            guard own == nil, member != self.memberID else { return (member, own) }
            return (member, model.begin(rpc, on: .placementDriver(member), regionID: nil))
        }
    }
}

extension ClusterModel {
    func checkCluster(_ header: Pdpb_RequestHeader) throws(RPCError) {
        guard header.clusterID == self.pdClusterID else {
            throw RPCError(
                .failedPrecondition, "mismatch cluster id, need \(self.pdClusterID) but got \(header.clusterID)",
                delivery: .answered)
        }
    }

    /// Which member a call is for: the one that it came to, or another to which that one passes it on.
    func member(for metadata: Metadata, at id: Int) throws(RPCError) -> Int {
        guard let host = metadata.first("pd-forwarded-host"), !host.isEmpty else { return id }
        guard let address = PeerAddress(host), let target = self.pd.members.member(at: "\(address)") else {
            throw RPCError(.invalidArgument, "forwarded host \(host) is no member", delivery: .answered)
        }
        guard target.isRunning else {
            throw RPCError(.unavailable, "connection error: \(host) refuses connections", delivery: .answered)
        }
        return target.id
    }

    /// Whether a member may answer a call.
    func admit(_ member: Int, _ access: PDService.Access, _ metadata: Metadata) throws(RPCError) {
        if case .anyMember = access { return }
        guard self.pd.members.leaderID != member else { return }
        guard case .regions = access else { throw RPCError(.unavailable, "not leader", delivery: .answered) }
        guard metadata.first("pd-allow-follower-handle") != nil else {
            throw RPCError(.unavailable, "not leader and follower handling not allowed", delivery: .answered)
        }
    }

    mutating func tso(_ request: Pdpb_TsoRequest, clock: UInt64) throws(RPCError) -> Pdpb_TsoResponse {
        try self.checkCluster(request.header)
        let now = clock + self.clockOffsetMilliseconds
        guard let last = self.oracle.allocate(count: request.count, milliseconds: now) else {
            throw RPCError(
                .unknown,
                "generate timestamp failed, tso count should be positive and below 262144, got \(request.count)",
                delivery: .answered)
        }
        var response = Pdpb_TsoResponse()
        response.header.clusterID = self.pdClusterID
        response.count = request.count
        response.timestamp.physical = Int64(clamping: last.physical)
        response.timestamp.logical = Int64(clamping: last.logical)
        return response
    }
}

extension Pdpb_ResponseHeader {
    /// The same header with an error.
    func failed(_ type: Pdpb_ErrorType, _ message: String) -> Pdpb_ResponseHeader {
        var header = self
        header.error.type = type
        header.error.message = message
        return header
    }
}
