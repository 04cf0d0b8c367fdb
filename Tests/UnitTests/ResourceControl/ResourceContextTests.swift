// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import SwiftProtobuf
import Testing
import TiKVEmbedded
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// What stores are told about resources, and what their answers change.
@Suite(.timeLimit(.minutes(1))) struct ResourceContextTests {
    private func with(
        priority: UInt32 = 0, _ body: (ClientCore, ResourceController) async throws -> Void
    ) async throws {
        try await EmbeddedCluster.withCluster(.init(storeCount: 1)) { cluster in
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            var configuration = ClientConfiguration()
            configuration.resourceControl.isEnabled = true
            let core = try ClientCore(
                .transaction, pd: cluster.pdEndpoints.compactMap { PeerAddress($0) }, configuration: configuration,
                logger: logger)
            let controller = try #require(core.sender.resources.controller)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await core.run() }
                defer { group.cancelAll() }
                let bucket = ResourceGroup.Bucket(fillRate: 10_000, burstLimit: -1)
                try await core.pd.addResourceGroup(
                    ResourceGroup(name: "g", priority: priority, requestUnits: bucket), deadline: self.deadline())
                try await body(core, controller)
            }
        }
    }

    private func deadline() -> Deadline { Deadline(after: .seconds(30), from: .now) }

    private func call(_ options: RequestOptions = .init()) -> RegionCall {
        RegionCall(deadline: self.deadline(), isWrite: false, options: options)
    }

    private func get(store: UInt64) -> Kvrpcpb_GetRequest {
        var request = Kvrpcpb_GetRequest()
        request.context.peer.storeID = store
        return request
    }

    @Test func groupPriorityAndPenaltyGoWithARequest() async throws {
        try await self.with(priority: 7) { core, _ in
            try await withResourceGroup("g") {
                var first = self.get(store: 1)
                _ = try await core.sender.beginResources("KvGet", &first, self.call())
                #expect(first.context.resourceControlContext.resourceGroupName == "g")
                #expect(first.context.resourceControlContext.overridePriority == 7)
                #expect(!first.context.resourceControlContext.hasPenalty)
                // Another store, which does not know of the first request, and then that one again.
                var second = self.get(store: 2)
                _ = try await core.sender.beginResources("KvGet", &second, self.call())
                var third = self.get(store: 1)
                _ = try await core.sender.beginResources("KvGet", &third, self.call())
                let penalty = third.context.resourceControlContext.penalty
                #expect(abs(penalty.kvReadRpcCount - 1) < 1e-9 && abs(penalty.rRU - 0.475) < 1e-9)
                // What the call itself says goes first.
                var options = RequestOptions()
                options.resourceGroup = "default"
                options.overridePriority = 3
                options.resourceGroupTag = [1]
                var own = self.get(store: 1)
                options.apply(to: &own.context)
                let prepared = options
                try await withResourceGroupTagger { _ in
                    [2]
                } operation: {
                    _ = try await core.sender.beginResources("KvGet", &own, self.call(prepared))
                }
                #expect(own.context.resourceControlContext.resourceGroupName == "default")
                #expect(own.context.resourceControlContext.overridePriority == 3)
                #expect([UInt8](own.context.resourceGroupTag) == [1])
            }
        }
    }

    @Test func whatAnAnswerSaysIsCollectedAndDrainedOnce() async throws {
        try await self.with { core, _ in
            let recorder = ResourceUsageRecorder()
            try await withResourceUsage(recordedBy: recorder) {
                var request = self.get(store: 1)
                let turn = try #require(try await core.sender.beginResources("KvGet", &request, self.call()))
                var response = Kvrpcpb_GetResponse()
                response.execDetailsV2.ruV2.storageProcessedKeysGet = 3
                response.execDetailsV2.ruV2.kvEngineCacheMiss = 2
                core.sender.endResources(turn, response)
            }
            let drained = recorder.drain()
            #expect(drained.counters.getKeys == 3 && drained.counters.cacheMisses == 2)
            #expect(drained.readRequests == 1 && drained.writeRequests == 0)
            #expect(recorder.drain() == ResourceUsage())
        }
    }

    @Test(arguments: [false, true])
    func onlyAnAnswerIsSettled(isAnswered: Bool) async throws {
        try await self.with { core, controller in
            let recorder = ResourceUsageRecorder()
            var known = ResourceUsage()
            known.counters.getKeys = 5
            recorder.add(known)
            let channel = ScriptedChannel { _, _ throws(RPCError) -> any Message in
                guard isAnswered else { throw RPCError(.unavailable, "gone", delivery: .unknown) }
                return Coprocessor_Response()
            }
            let store = StoreHandle(
                id: 1, address: PeerAddress(host: "s", port: 20160), channel: channel, reports: StoreReportBoard())
            var options = RequestOptions()
            options.predictedReadBytes = 65_536
            var call = self.call(options)
            try await withResourceUsage(recordedBy: recorder) {
                try await withResourceGroup("g") {
                    let result: Result<Coprocessor_Response, RPCError> = try await core.sender.perform(
                        TikvpbTikvRPC.coprocessor, Coprocessor_Request(), options: CallOptions(timeout: .seconds(5)),
                        to: store, &call)
                    if case .success = result { #expect(isAnswered) } else { #expect(!isAnswered) }
                }
            }
            // One unit was paid in advance, which only an answer brings back.
            let used = try #require(controller.used(by: "g"))
            #expect(abs(used.readUnits - (isAnswered ? 0.475 : 1.475)) < 1e-9)
            #expect(recorder.usage.counters.getKeys == 5)
            #expect(recorder.usage.readRequests == (isAnswered ? 1 : 0))
        }
    }
}
