// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

/// The `resource_manager.ResourceManager` service.
extension PDService {
    func registerResourceGroups(in services: inout RPCServices) {
        self.register(
            ResourceManagerResourceManagerRPC.listResourceGroups, in: &services, header: { _ in nil }
        ) { model, request, _ in
            let table = model.pd.resourceGroups
            return table.groups.keys.sorted().compactMap { table.group($0, withUse: request.withRuStats) }
        } answer: { groups, _ in
            .with { $0.groups = groups }
        }
        self.register(
            ResourceManagerResourceManagerRPC.getResourceGroup, in: &services, header: { _ in nil }
        ) { model, request, _ in
            model.pd.resourceGroups.group(request.resourceGroupName, withUse: request.withRuStats)
        } answer: { group, _ in
            .with { if let group { $0.group = group } }
        }
        self.register(
            ResourceManagerResourceManagerRPC.addResourceGroup, in: &services, header: { _ in nil }
        ) { model, request, _ in
            model.pd.resourceGroups.add(request.group)
        } answer: {
            Self.answer($0, $1)
        }
        self.register(
            ResourceManagerResourceManagerRPC.modifyResourceGroup, in: &services, header: { _ in nil }
        ) { model, request, _ in
            model.pd.resourceGroups.modify(request.group)
        } answer: {
            Self.answer($0, $1)
        }
        self.register(
            ResourceManagerResourceManagerRPC.deleteResourceGroup, in: &services, header: { _ in nil }
        ) { model, request, _ in
            model.pd.resourceGroups.delete(request.resourceGroupName)
        } answer: { error, _ in
            .with {
                if let error { $0.error.message = error } else { $0.body = "Success!" }
            }
        }
        services.register(ResourceManagerResourceManagerRPC.acquireTokenBuckets, stream: self.acquireTokens)
    }

    private static func answer(
        _ error: String?, _ header: Pdpb_ResponseHeader
    ) -> ResourceManager_PutResourceGroupResponse {
        .with {
            if let error { $0.error.message = error } else { $0.body = "Success!" }
        }
    }

    private func acquireTokens(
        _ stream: ServerStream<ResourceManager_TokenBucketsRequest, ResourceManager_TokenBucketsResponse>,
        _ call: ServerCall
    ) async throws {
        while let request = try await stream.next() {
            let (member, fault) = try self.begin(
                ResourceManagerResourceManagerRPC.acquireTokenBuckets.name, call)
            let perform: () throws -> ResourceManager_TokenBucketsResponse = {
                try self.model.withLock { model in
                    try model.admit(member, .leader, call.metadata)
                    return .with {
                        $0.responses = request.requests.compactMap {
                            model.pd.resourceGroups.acquire($0, period: request.targetRequestPeriodMs)
                        }
                    }
                }
            }
            let response =
                if let fault {
                    try await fault.run(call, regionErrorAnswer: { _ in .init() }, perform: perform)
                } else {
                    try perform()
                }
            try await stream.send(response)
        }
    }
}
