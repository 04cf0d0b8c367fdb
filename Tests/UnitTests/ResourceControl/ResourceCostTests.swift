// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TiKVPD
import TiKVProto

@testable import TiKV

/// What requests and answers cost.
@Suite struct ResourceCostTests {
    private func data(_ text: String) -> Data { Data(text.utf8) }

    private func prewrite() -> Kvrpcpb_PrewriteRequest {
        var request = Kvrpcpb_PrewriteRequest()
        var mutation = Kvrpcpb_Mutation()
        mutation.key = self.data("foo")
        mutation.value = self.data("bar")
        request.mutations = [mutation]
        request.primaryLock = self.data("baz")
        request.context.peer.storeID = 1
        return request
    }

    // MARK: - Requests

    @Test func readsWriteNothing() {
        var get = Kvrpcpb_GetRequest()
        #expect(RequestCost(get) == RequestCost(isWrite: false))
        get.context.peer.storeID = 7
        #expect(RequestCost(get).storeID == 7)
        #expect(!RequestCost(Kvrpcpb_BatchGetRequest()).isWrite)
        #expect(!RequestCost(Kvrpcpb_ScanRequest()).isWrite)
        #expect(!RequestCost(Kvrpcpb_RawGetRequest()).isWrite)
    }

    @Test func aPrewriteWritesKeysValuesAndThePrimary() {
        var request = self.prewrite()
        let cost = RequestCost(request, replicas: 3)
        #expect(cost.isWrite && cost.writeBytes == 9 && cost.storeID == 1 && cost.replicas == 3)
        request.secondaries = [self.data("quux")]
        #expect(RequestCost(request).writeBytes == 13)
    }

    @Test func aCommitWritesItsKeys() {
        var request = Kvrpcpb_CommitRequest()
        request.keys = [self.data("qux")]
        let cost = RequestCost(request)
        #expect(cost.isWrite && cost.writeBytes == 3)
        // Nobody is named.
        #expect(cost.storeID == 0)
        request.context.peer.storeID = 2
        #expect(RequestCost(request).storeID == 2)
    }

    @Test func rawWritesCountKeysAndValues() {
        var put = Kvrpcpb_RawPutRequest()
        put.key = self.data("k")
        put.value = self.data("vv")
        #expect(RequestCost(put).writeBytes == 3)
        var delete = Kvrpcpb_RawDeleteRequest()
        delete.key = self.data("kk")
        #expect(RequestCost(delete).isWrite && RequestCost(delete).writeBytes == 2)
    }

    @Test(arguments: [("external_txn", false), ("leader_internal_others", true), ("xxx_internal_others", true)])
    func theSystemsOwnWorkIsFree(source: String, isFree: Bool) {
        var request = self.prewrite()
        request.context.requestSource = source
        #expect(RequestCost(request).isFree == isFree)
        var get = Kvrpcpb_GetRequest()
        get.context.requestSource = source
        #expect(RequestCost(get).isFree == isFree)
    }

    @Test func onlyTheCoprocessorsRequestsAreItsOwn() {
        #expect(RequestCost(Coprocessor_Request()).isCoprocessor)
        #expect(!RequestCost(Coprocessor_Request()).isWrite)
        #expect(!RequestCost(Kvrpcpb_GetRequest()).isCoprocessor)
        #expect(!RequestCost(self.prewrite()).isCoprocessor)
    }

    @Test func whatIsExpectedToBeReadIsHandedOn() {
        #expect(RequestCost(Coprocessor_Request(), predictedReadBytes: 4096).predictedReadBytes == 4096)
        #expect(RequestCost(Coprocessor_Request()).predictedReadBytes == 0)
    }

    // MARK: - Answers

    private func details(processed: UInt64, total: UInt64 = 0, milliseconds: UInt64 = 0) -> Kvrpcpb_ExecDetailsV2 {
        var details = Kvrpcpb_ExecDetailsV2()
        details.scanDetailV2.processedVersionsSize = processed
        details.scanDetailV2.totalVersionsSize = total
        if milliseconds > 0 { details.timeDetailV2.processWallTimeNs = milliseconds * 1_000_000 }
        return details
    }

    @Test func whatIsReadIsWhatCounts() {
        var response = Kvrpcpb_GetResponse()
        #expect(ResponseCost(response) == ResponseCost())
        response.execDetailsV2 = self.details(processed: 100, total: 500, milliseconds: 3)
        #expect(ResponseCost(response) == ResponseCost(readBytes: 100, processorTime: .milliseconds(3)))
        // Stores of the next generation charge for all that they come across.
        #expect(ResponseCost(response, isNextGeneration: true).readBytes == 500)
        response.execDetailsV2 = self.details(processed: 600, total: 500)
        #expect(ResponseCost(response, isNextGeneration: true).readBytes == 600)
        response.regionError.notLeader.regionID = 1
        #expect(!ResponseCost(response).isSuccess)
    }

    @Test func olderStoresTellTheTimeInMilliseconds() {
        var response = Kvrpcpb_BatchGetResponse()
        response.execDetailsV2.timeDetail.processWallTimeMs = 5
        #expect(ResponseCost(response).processorTime == .milliseconds(5))
    }

    @Test func tasksWithinAnAnswerAddUp() {
        var response = Coprocessor_Response()
        response.data = self.data("1234567")
        #expect(ResponseCost(response).readBytes == 7)
        response.execDetailsV2 = self.details(processed: 100, milliseconds: 10)
        var first = Coprocessor_StoreBatchTaskResponse()
        first.data = self.data("12345")
        first.execDetailsV2 = self.details(processed: 200, milliseconds: 20)
        // Without a word about the scan, what it brings is what it read.
        var second = Coprocessor_StoreBatchTaskResponse()
        second.data = self.data("123")
        var third = Coprocessor_StoreBatchTaskResponse()
        third.data = self.data("12")
        third.execDetailsV2.timeDetailV2.processWallTimeNs = 5_000_000
        response.batchResponses = [first, second, third]
        #expect(ResponseCost(response) == ResponseCost(readBytes: 305, processorTime: .milliseconds(35)))
    }

    // MARK: - Prices

    private func isClose(_ left: Double, _ right: Double) -> Bool { abs(left - right) < 1e-9 }

    @Test func aReadCostsItsBaseAndWhatItReads() {
        let prices = RequestUnitPrices()
        let request = RequestCost(isWrite: false)
        let before = prices.before(request)
        #expect(self.isClose(before.readUnits, 0.125 + 0.5 * 0.7) && before.writeUnits == 0)
        #expect(before.readRequests == 1 && before.writeRequests == 0)
        let after = prices.after(request, ResponseCost(readBytes: 131_072, processorTime: .milliseconds(6)))
        #expect(self.isClose(after.readUnits, 2 + 2))
        #expect(after.readBytes == 131_072 && after.processorMilliseconds == 6)
    }

    @Test func aWriteCostsWhatItWritesOnEveryReplica() {
        let prices = RequestUnitPrices()
        var request = RequestCost(isWrite: true)
        request.writeBytes = 2048
        #expect(self.isClose(prices.before(request).writeUnits, 1 + 0.7 + 2))
        request.replicas = 3
        let before = prices.before(request)
        #expect(self.isClose(before.writeUnits, 3 * 3.7))
        #expect(before.writeBytes == 2048 && before.writeRequests == 1 && before.readUnits == 0)
        #expect(prices.after(request, ResponseCost()) == Consumption())
        let failed = prices.after(request, ResponseCost(readBytes: 65_536, isSuccess: false))
        #expect(self.isClose(failed.writeUnits, -3) && failed.writeBytes == -2048)
        #expect(self.isClose(failed.readUnits, 1))
    }

    @Test func whatTheCoprocessorIsExpectedToReadIsPaidInAdvance() {
        let prices = RequestUnitPrices()
        var request = RequestCost(isWrite: false)
        request.predictedReadBytes = 65_536
        // Others do not read much.
        #expect(self.isClose(prices.before(request).readUnits, 0.475))
        request.isCoprocessor = true
        #expect(self.isClose(prices.before(request).readUnits, 1.475))
        #expect(self.isClose(prices.after(request, ResponseCost(readBytes: 131_072)).readUnits, 2 - 1))
    }

    // MARK: - The second version

    @Test func countersAreWeighed() {
        var raw = Kvrpcpb_RUV2()
        raw.kvEngineCacheMiss = 43
        raw.executorInputs.tikvCoprocessorExecutorWorkTotalBatchSelection = 53
        raw.executorInputs.tikvCoprocessorExecutorWorkTotalBatchTopN = 59
        raw.coprocessorExecutorIterations = 61
        raw.coprocessorResponseBytes = 67
        raw.raftstoreStoreWriteTriggerWbBytes = 71
        raw.storageProcessedKeysBatchGet = 73
        raw.storageProcessedKeysGet = 79
        raw.readRpcCount = 2
        raw.writeRpcCount = 34
        let counters = UsageCounters(raw)
        let parts: [(count: Double, weight: Double)] = [
            (43, 0.45975389), (112, 0.0000315), (61, 0.05775369), (67, 0.00000087), (71, 0.000061), (73, 0.00266791),
            (79, 0.01416829), (34, 0.09642181),
        ]
        let sum = parts.reduce(0.0) { $0 + $1.count * $1.weight }
        #expect(self.isClose(UsageWeights().units(counters), sum * 2.1))
        #expect(counters.readRequests == 2 && counters.writeRequests == 34)
    }

    @Test func whatIsDrainedIsCountedOnce() {
        let recorder = ResourceUsageRecorder()
        var usage = ResourceUsage()
        usage.counters.getKeys = 3
        usage.readUnits = 1.5
        recorder.add(usage)
        recorder.add(usage)
        let drained = recorder.drain()
        #expect(drained.counters.getKeys == 6 && drained.readUnits == 3)
        #expect(recorder.drain() == ResourceUsage())
        recorder.add(usage)
        #expect(recorder.drain() == usage)
    }

    @Test func copiesAndMergesAddTheCounters() {
        let first = ResourceUsageRecorder()
        let second = ResourceUsageRecorder()
        var usage = ResourceUsage()
        usage.counters.cacheMisses = 2
        usage.counters.raftBytes = 5
        first.add(usage)
        let copy = first.usage
        second.add(usage)
        second.add(usage)
        first.merge(second)
        #expect(first.usage.counters.cacheMisses == 6 && first.usage.counters.raftBytes == 15)
        // A copy is one, and merging takes nothing away.
        #expect(copy == usage)
        #expect(second.usage.counters.cacheMisses == 4)
    }

    @Test func theColumnarEnginesUnitsCountByReadsAndWrites() {
        var usage = ResourceUsage()
        usage.readUnits = 1
        var consumption = ResourceManager_Consumption()
        consumption.rRU = 2
        consumption.wRU = 4
        usage.addColumnar(consumption)
        usage.addColumnar(consumption)
        #expect(usage.readUnits == 5 && usage.writeUnits == 8)
    }
}
