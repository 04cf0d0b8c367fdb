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

/// The `pdpb.PD` and `keyspacepb.Keyspace` services. There is one member, which leads.
struct PDService: Sendable {
    let model: SharedModel

    func register(in services: inout RPCServices) {
        self.registerCluster(in: &services)
        self.registerRegions(in: &services)
        self.registerKeyspaces(in: &services)
        services.register(PdpbPDRPC.tso, stream: self.tso)
    }

    /// Registers a call. As in PD, a request for another cluster, or for none, fails with the status
    /// FAILED_PRECONDITION, except for the calls by which a client learns the cluster's id.
    ///
    /// - Parameters:
    ///   - header: the request's header; nil where the call has none to check.
    ///   - take: runs under the model's lock. The last argument is Unix time in milliseconds.
    ///   - answer: runs outside of it.
    func register<Request: Message, Response: Message, Taken>(
        _ method: RPCMethod<Request, Response>, in services: inout RPCServices,
        header: @escaping @Sendable (Request) -> Pdpb_RequestHeader?,
        take: @escaping @Sendable (inout ClusterModel, Request, UInt64) -> Taken,
        answer: @escaping @Sendable (Taken, Pdpb_ResponseHeader) -> Response
    ) {
        services.register(
            method,
            unary: { (request: Request, call: ServerCall) async throws -> Response in
                let fault = self.model.withLock { $0.begin(method.name, on: .placementDriver, regionID: nil) }
                let perform: () throws -> Response = {
                    let clock = self.model.milliseconds
                    let (taken, clusterID) = try self.model.withLock { model in
                        if let header = header(request) { try model.checkCluster(header) }
                        return (take(&model, request, clock + model.clockOffsetMilliseconds), model.pdClusterID)
                    }
                    return answer(taken, .with { $0.clusterID = clusterID })
                }
                guard let fault else { return try perform() }
                return try await fault.run(call, regionErrorAnswer: { _ in Response() }, perform: perform)
            })
    }

    // MARK: - Timestamps

    /// One answer for each request, each with the last of the timestamps that were asked for.
    private func tso(_ stream: ServerStream<Pdpb_TsoRequest, Pdpb_TsoResponse>, _ call: ServerCall) async throws {
        while let request = try await stream.next() {
            let fault = self.model.withLock { $0.begin(PdpbPDRPC.tso.name, on: .placementDriver, regionID: nil) }
            let perform: () throws -> Pdpb_TsoResponse = {
                let clock = self.model.milliseconds
                return try self.model.withLock { try $0.tso(request, clock: clock) }
            }
            let response =
                if let fault {
                    try await fault.run(call, regionErrorAnswer: { _ in Pdpb_TsoResponse() }, perform: perform)
                } else {
                    try perform()
                }
            try await stream.send(response)
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
