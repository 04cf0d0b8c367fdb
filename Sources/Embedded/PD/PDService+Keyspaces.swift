// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

extension PDService {
    /// There is one keyspace, the one that PD makes by itself: `DEFAULT`, number 0.
    func registerKeyspaces(in services: inout RPCServices) {
        self.register(KeyspacepbKeyspaceRPC.loadKeyspace, in: &services, header: { $0.header }) { _, request, _ in
            request.name == Self.defaultKeyspace.name
        } answer: {
            Self.answer(isKnown: $0, $1)
        }
        self.register(KeyspacepbKeyspaceRPC.loadKeyspaceByID, in: &services, header: { $0.header }) { _, request, _ in
            request.id == Self.defaultKeyspace.id
        } answer: {
            Self.answer(isKnown: $0, $1)
        }
        self.register(KeyspacepbKeyspaceRPC.getAllKeyspaces, in: &services, header: { $0.header }) { _, request, _ in
            request.startID == 0
        } answer: { isIncluded, header in
            .with {
                $0.header = header
                $0.keyspaces = isIncluded ? [Self.defaultKeyspace] : []
            }
        }
    }

    private static let defaultKeyspace = Keyspacepb_KeyspaceMeta.with {
        $0.id = 0
        $0.name = "DEFAULT"
        $0.state = .enabled
    }

    private static func answer(
        isKnown: Bool, _ header: Pdpb_ResponseHeader
    ) -> Keyspacepb_LoadKeyspaceResponse {
        .with {
            if isKnown {
                $0.header = header
                $0.keyspace = Self.defaultKeyspace
            } else {
                $0.header = header.failed(
                    .entryNotFound, "[PD:keyspace:ErrKeyspaceNotFound]keyspace does not exist")
            }
        }
    }
}
