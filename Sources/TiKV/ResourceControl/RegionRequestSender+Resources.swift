// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension RegionRequestSender {
    /// What becomes of one RPC's resources: begun before it is sent, ended by its answer.
    struct ResourceTurn: Sendable {
        var charge: ResourceController.Charge?
        var recorder: ResourceUsageRecorder?
        var cost: RequestCost?
    }

    /// Puts into a request's context whose resources it uses, and waits until these are there.
    func beginResources<Request: RegionRequest>(
        _ method: String, _ request: inout Request, _ call: RegionCall
    ) async throws(TiKVError) -> ResourceTurn? {
        let scope = ResourceScope.scoped
        let group = scope?.group ?? self.resources.group
        let tagger = scope?.tagger
        let recorder = scope?.recorder
        let named = !call.options.resourceGroup.isEmpty
        // Of most requests nobody wants to know anything.
        guard !group.isEmpty || tagger != nil || recorder != nil || named else { return nil }
        if !named, !group.isEmpty { request.context.resourceControlContext.resourceGroupName = group }
        if let tagger, call.options.resourceGroupTag.isEmpty {
            let tag = tagger(
                TaggedRequest(method: method, regionID: request.context.regionID, isWrite: call.isWrite))
            if !tag.isEmpty { request.context.resourceGroupTag = Data(tag) }
        }
        let cost = RequestCost(request, predictedReadBytes: call.options.predictedReadBytes)
        var turn = ResourceTurn(recorder: cost.isFree ? nil : recorder, cost: cost)
        let name = request.context.resourceControlContext.resourceGroupName
        guard let controller = self.resources.controller, !name.isEmpty, !cost.isFree else { return turn }
        let charge = try await controller.begin(cost, of: name, deadline: call.deadline)
        turn.charge = charge
        if request.context.resourceControlContext.overridePriority == 0 {
            request.context.resourceControlContext.overridePriority = charge.priority
        }
        if charge.penalty != Consumption() {
            request.context.resourceControlContext.penalty = charge.penalty.proto
        }
        return turn
    }

    /// An answer has come. Without one nothing is settled: what was charged for the request stays charged.
    func endResources(_ turn: ResourceTurn, _ response: some RegionResponse) {
        var usage = ResourceUsage()
        if let charge = turn.charge {
            let settled = self.resources.controller?.end(
                charge, ResponseCost(response, isNextGeneration: self.resources.isNextGeneration))
            usage.readUnits = charge.taken.readUnits + (settled?.readUnits ?? 0)
            usage.writeUnits = charge.taken.writeUnits + (settled?.writeUnits ?? 0)
            usage.wait = charge.wait
        }
        guard let recorder = turn.recorder else { return }
        if let cost = turn.cost { usage.counters = .request(isWrite: cost.isWrite) }
        if let details = ResponseCost.details(of: response), details.hasRuV2 {
            usage.counters.add(UsageCounters(details.ruV2))
        }
        recorder.add(usage)
    }
}

/// How a client deals with resource groups.
struct ResourceOptions: Sendable {
    /// The group of requests that name none; empty for none.
    var group = ""
    /// Nil where nothing is held back.
    var controller: ResourceController?
    var isNextGeneration = false
}
