// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

extension PDService {
    func registerTimestamps(in services: inout RPCServices) {
        services.register(PdpbPDRPC.tso, stream: self.tso)
        self.register(PdpbPDRPC.getMinTS, in: &services, header: { $0.header }) { model, _, now in
            model.oracle.allocate(count: 1, milliseconds: now)
        } answer: { timestamp, header in
            .with {
                $0.header = header
                $0.timestamp.physical = Int64(clamping: timestamp?.physical ?? 0)
                $0.timestamp.logical = Int64(clamping: timestamp?.logical ?? 0)
            }
        }
        self.register(PdpbPDRPC.getExternalTimestamp, in: &services, header: { $0.header }) { model, _, _ in
            model.pd.externalTimestamp
        } answer: { timestamp, header in
            .with {
                $0.header = header
                $0.timestamp = timestamp
            }
        }
        self.register(PdpbPDRPC.setExternalTimestamp, in: &services, header: { $0.header }) { model, request, now in
            model.setExternalTimestamp(request.timestamp, now: now)
        } answer: { refusal, header in
            .with { $0.header = refusal.map { header.failed(.invalidValue, $0) } ?? header }
        }
    }

    /// One answer for each request, each with the last of the timestamps that were asked for.
    private func tso(_ stream: ServerStream<Pdpb_TsoRequest, Pdpb_TsoResponse>, _ call: ServerCall) async throws {
        while let request = try await stream.next() {
            let (member, fault) = try self.begin(PdpbPDRPC.tso.name, call)
            let perform: () throws -> Pdpb_TsoResponse = {
                let clock = self.model.milliseconds
                return try self.model.withLock { model in
                    guard model.pd.members.leaderID == member || !model.pd.timestampServers.isEmpty else {
                        throw RPCError(
                            .unknown,
                            "[PD:tso:ErrGenerateTimestamp]generate timestamp failed, requested pd is not leader of cluster",
                            delivery: .answered)
                    }
                    return try model.tso(request, clock: clock)
                }
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
    /// - Returns: why not; nil where it was set.
    fileprivate mutating func setExternalTimestamp(_ timestamp: UInt64, now: UInt64) -> String? {
        let latest = self.oracle.allocate(count: 1, milliseconds: now)
            .map { $0.physical << TimestampOracle.logicalBits + $0.logical }
        guard timestamp <= latest ?? 0 else { return "the external timestamp should not be larger than global ts" }
        guard timestamp > self.pd.externalTimestamp else {
            return "the external timestamp should be larger than now"
        }
        self.pd.externalTimestamp = timestamp
        return nil
    }
}
