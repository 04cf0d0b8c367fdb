// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

/// The `tsopb.TSO` service of a server that hands out timestamps in PD's place. There is one group for all keyspaces, and
/// one of the servers is its primary.
struct TimestampService: Sendable {
    let model: SharedModel
    /// Its place among the servers.
    let index: Int

    func register(in services: inout RPCServices) {
        services.register(TsopbTSORPC.tso, stream: self.tso)
        services.register(TsopbTSORPC.findGroupByKeyspaceID, unary: self.findGroup)
        services.register(TsopbTSORPC.getMinTS, unary: self.minimum)
    }

    private func findGroup(
        _ request: Tsopb_FindGroupByKeyspaceIDRequest, _ call: ServerCall
    ) async throws -> Tsopb_FindGroupByKeyspaceIDResponse {
        self.model.withLock { model -> Tsopb_FindGroupByKeyspaceIDResponse in
            .with {
                $0.header.clusterID = model.pdClusterID
                $0.keyspaceGroup.members = model.pd.timestampServers.enumerated().map { index, address in
                    .with {
                        $0.address = "\(model.pdScheme)://\(address)"
                        $0.isPrimary = index == model.pd.timestampPrimary
                    }
                }
            }
        }
    }

    private func minimum(_ request: Tsopb_GetMinTSRequest, _ call: ServerCall) async throws -> Tsopb_GetMinTSResponse {
        let clock = self.model.milliseconds
        return self.model.withLock { model -> Tsopb_GetMinTSResponse in
            let isPrimary = model.pd.timestampPrimary == self.index
            let now = clock + model.clockOffsetMilliseconds
            let timestamp = isPrimary ? model.oracle.allocate(count: 1, milliseconds: now) : nil
            return .with {
                $0.header.clusterID = model.pdClusterID
                $0.timestamp.physical = Int64(clamping: timestamp?.physical ?? 0)
                $0.timestamp.logical = Int64(clamping: timestamp?.logical ?? 0)
                $0.keyspaceGroupsServing = isPrimary ? 1 : 0
                $0.keyspaceGroupsTotal = 1
            }
        }
    }

    private func tso(_ stream: ServerStream<Tsopb_TsoRequest, Tsopb_TsoResponse>, _ call: ServerCall) async throws {
        while let request = try await stream.next() {
            let clock = self.model.milliseconds
            let answer = try self.model.withLock { model throws(RPCError) -> Pdpb_TsoResponse in
                model.counters.count(TsopbTSORPC.tso.name, on: .timestampServer(self.index + 1))
                guard model.pd.timestampPrimary == self.index else {
                    throw RPCError(
                        .unknown, "[PD:tso:ErrGenerateTimestamp]generate timestamp failed, not leader of the group",
                        delivery: .answered)
                }
                return try model.tso(
                    .with {
                        $0.header.clusterID = request.header.clusterID
                        $0.count = request.count
                    }, clock: clock)
            }
            try await stream.send(
                .with {
                    $0.header.clusterID = answer.header.clusterID
                    $0.count = answer.count
                    $0.timestamp = answer.timestamp
                })
        }
    }
}
