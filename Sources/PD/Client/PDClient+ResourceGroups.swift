// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import SwiftProtobuf
import TiKVProto
import TiKVTransport

extension PDClient {
    /// All resource groups.
    ///
    /// - Parameter keyspaceID: of which keyspace; nil is of the cluster as a whole.
    package nonisolated func resourceGroups(
        includingConsumption: Bool = false, keyspaceID: UInt32? = nil, deadline: Deadline
    ) async throws(PDError) -> [ResourceGroup] {
        var request = ResourceManager_ListResourceGroupsRequest()
        request.withRuStats = includingConsumption
        if let keyspaceID { request.keyspaceID.value = keyspaceID }
        return try await self.askManager(
            ResourceManagerResourceManagerRPC.listResourceGroups, request, deadline: deadline
        ).map { $0.groups.map { ResourceGroup($0) } } ?? []
    }

    /// A resource group by its name; nil where there is none.
    package nonisolated func resourceGroup(
        named name: String, includingConsumption: Bool = false, keyspaceID: UInt32? = nil, deadline: Deadline
    ) async throws(PDError) -> ResourceGroup? {
        var request = ResourceManager_GetResourceGroupRequest()
        request.resourceGroupName = name
        request.withRuStats = includingConsumption
        if let keyspaceID { request.keyspaceID.value = keyspaceID }
        return try await self.askManager(
            ResourceManagerResourceManagerRPC.getResourceGroup, request, deadline: deadline
        ).flatMap { $0.hasGroup ? ResourceGroup($0.group) : nil }
    }

    /// Makes a resource group.
    ///
    /// - Throws: `server` where there is one of this name; after a try that got no answer, that may be the one it made.
    package nonisolated func addResourceGroup(
        _ group: ResourceGroup, keyspaceID: UInt32? = nil, deadline: Deadline
    ) async throws(PDError) {
        var request = ResourceManager_PutResourceGroupRequest()
        request.group = group.proto(keyspaceID)
        _ = try await self.askManager(
            ResourceManagerResourceManagerRPC.addResourceGroup, request, deadline: deadline)
    }

    /// Changes a resource group.
    ///
    /// - Throws: `server` where there is none of this name.
    package nonisolated func modifyResourceGroup(
        _ group: ResourceGroup, keyspaceID: UInt32? = nil, deadline: Deadline
    ) async throws(PDError) {
        var request = ResourceManager_PutResourceGroupRequest()
        request.group = group.proto(keyspaceID)
        _ = try await self.askManager(
            ResourceManagerResourceManagerRPC.modifyResourceGroup, request, deadline: deadline)
    }

    /// Deletes a resource group.
    ///
    /// - Throws: `server` where it is the default group.
    package nonisolated func deleteResourceGroup(
        named name: String, keyspaceID: UInt32? = nil, deadline: Deadline
    ) async throws(PDError) {
        var request = ResourceManager_DeleteResourceGroupRequest()
        request.resourceGroupName = name
        if let keyspaceID { request.keyspaceID.value = keyspaceID }
        _ = try await self.askManager(
            ResourceManagerResourceManagerRPC.deleteResourceGroup, request, deadline: deadline)
    }

    // MARK: - Tokens

    /// A stream on which tokens are asked for.
    package struct TokenStream: Sendable {
        let stream: any MessageStream<ResourceManager_TokenBucketsRequest, ResourceManager_TokenBucketsResponse>
        let clientID: UInt64
        let keyspaceID: UInt32?

        /// Asks for tokens and reports what was used.
        ///
        /// - Parameter period: how often this client means to ask.
        package func acquire(_ requests: [TokenRequest], period: Duration) async throws(PDError) -> [TokenGrant] {
            var request = ResourceManager_TokenBucketsRequest()
            request.requests = requests.map { $0.proto(self.keyspaceID) }
            request.targetRequestPeriodMs = UInt64(max(0, period / .milliseconds(1)))
            request.clientUniqueID = self.clientID
            do throws(RPCError) {
                try await self.stream.send(request)
                guard let response = try await self.stream.next() else {
                    throw RPCError(.unavailable, "PD ended the stream of tokens", delivery: .unknown)
                }
                if response.hasError {
                    throw RPCError(.unknown, response.error.message, delivery: .answered)
                }
                return response.responses.flatMap { response in
                    response.grantedRUTokens.map { granted in
                        TokenGrant(
                            group: response.resourceGroupName, tokens: ResourceGroup.Bucket(granted.grantedTokens),
                            trickleTime: .milliseconds(granted.trickleTimeMs))
                    }
                }
            } catch {
                if case .fail(let failure) = PDVerdict(error, isCancelled: Task.isCancelled) { throw failure }
                throw PDError(.unreachable, "the stream of tokens broke", detail: error.message)
            }
        }
    }

    /// Opens a stream of tokens to PD's leader, for the length of `body`.
    ///
    /// When the stream breaks, `acquire` throws and nothing is asked again: what was reported as used may have been
    /// counted.
    ///
    /// - Parameter clientID: tells this client from others; the same for as long as it lives.
    package nonisolated func withTokenStream<Result>(
        clientID: UInt64, keyspaceID: UInt32? = nil, deadline: Deadline,
        _ body: (TokenStream) async throws -> Result
    ) async throws -> Result {
        var attempts = PDAttempts()
        guard let target = try await self.target(deadline: deadline, attempts: &attempts) else {
            throw attempts.expired()
        }
        do {
            return try await target.channel.withMessages(
                ResourceManagerResourceManagerRPC.acquireTokenBuckets, options: CallOptions(metadata: target.metadata)
            ) { try await body(TokenStream(stream: $0, clientID: clientID, keyspaceID: keyspaceID)) }
        } catch let error as RPCError {
            // First of all whether it was the caller who ended the stream: that is nothing against the leader.
            let verdict = PDVerdict(error, isCancelled: Task.isCancelled)
            if case .fail(let failure) = verdict { throw failure }
            if case .leaderLost = verdict { await self.failed(target, isUnreachable: error.delivery != .answered) }
            throw PDError(.unreachable, "the stream of tokens could not be opened", detail: error.message)
        }
    }

    // MARK: - Private

    private nonisolated func askManager<Request: Message, Response: ManagerResponse>(
        _ method: RPCMethod<Request, Response>, _ request: Request, deadline: Deadline
    ) async throws(PDError) -> Response? {
        try await self.ask(method, request, deadline: deadline) { _, _ in
        } verdict: { response, _ in
            guard response.hasError else { return .answered }
            return .fail(PDError(.server, "PD refused the resource group", detail: response.error.message))
        }
    }
}

/// An answer about resource groups, which may be an error in words.
protocol ManagerResponse: Message {
    var hasError: Bool { get }
    var error: ResourceManager_Error { get }
}

extension ResourceManager_ListResourceGroupsResponse: ManagerResponse {}
extension ResourceManager_GetResourceGroupResponse: ManagerResponse {}
extension ResourceManager_PutResourceGroupResponse: ManagerResponse {}
extension ResourceManager_DeleteResourceGroupResponse: ManagerResponse {}
