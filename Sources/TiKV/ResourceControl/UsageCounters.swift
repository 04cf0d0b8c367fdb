// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// What stores count for request units of the second version.
struct UsageCounters: Sendable, Hashable {
    var cacheMisses: UInt64 = 0
    /// What executors of the coprocessor were given.
    var executorInputs: UInt64 = 0
    var executorIterations: UInt64 = 0
    var coprocessorBytes: UInt64 = 0
    var raftBytes: UInt64 = 0
    var batchGetKeys: UInt64 = 0
    var getKeys: UInt64 = 0
    var readRequests: UInt64 = 0
    var writeRequests: UInt64 = 0

    init() {}

    init(_ counters: Kvrpcpb_RUV2) {
        self.cacheMisses = counters.kvEngineCacheMiss
        let inputs = counters.executorInputs
        self.executorInputs =
            inputs.tikvCoprocessorExecutorWorkTotalBatchIndexScan
            &+ inputs.tikvCoprocessorExecutorWorkTotalBatchTableScan
            &+ inputs.tikvCoprocessorExecutorWorkTotalBatchSelection
            &+ inputs.tikvCoprocessorExecutorWorkTotalBatchTopN
            &+ inputs.tikvCoprocessorExecutorWorkTotalBatchLimit
            &+ inputs.tikvCoprocessorExecutorWorkTotalBatchSimpleAggr
            &+ inputs.tikvCoprocessorExecutorWorkTotalBatchFastHashAggr
        self.executorIterations = counters.coprocessorExecutorIterations
        self.coprocessorBytes = counters.coprocessorResponseBytes
        self.raftBytes = counters.raftstoreStoreWriteTriggerWbBytes
        self.batchGetKeys = counters.storageProcessedKeysBatchGet
        self.getKeys = counters.storageProcessedKeysGet
        self.readRequests = counters.readRpcCount
        self.writeRequests = counters.writeRpcCount
    }

    /// Counts a request that was answered.
    static func request(isWrite: Bool) -> UsageCounters {
        var counters = UsageCounters()
        if isWrite { counters.writeRequests = 1 } else { counters.readRequests = 1 }
        return counters
    }

    mutating func add(_ other: UsageCounters) {
        self.cacheMisses &+= other.cacheMisses
        self.executorInputs &+= other.executorInputs
        self.executorIterations &+= other.executorIterations
        self.coprocessorBytes &+= other.coprocessorBytes
        self.raftBytes &+= other.raftBytes
        self.batchGetKeys &+= other.batchGetKeys
        self.getKeys &+= other.getKeys
        self.readRequests &+= other.readRequests
        self.writeRequests &+= other.writeRequests
    }
}

/// What the counters weigh, in request units of the second version.
struct UsageWeights: Sendable, Hashable {
    var scale = 2.10
    var cacheMiss = 0.45975389
    var writeRequest = 0.09642181
    var executorInput = 0.0000315
    var executorIteration = 0.05775369
    var coprocessorByte = 0.00000087
    var raftByte = 0.000061
    var batchGetKey = 0.00266791
    var getKey = 0.01416829

    func units(_ counters: UsageCounters) -> Double {
        let weighed = [
            (counters.cacheMisses, self.cacheMiss), (counters.writeRequests, self.writeRequest),
            (counters.executorInputs, self.executorInput), (counters.executorIterations, self.executorIteration),
            (counters.coprocessorBytes, self.coprocessorByte), (counters.raftBytes, self.raftByte),
            (counters.batchGetKeys, self.batchGetKey), (counters.getKeys, self.getKey),
        ]
        return weighed.reduce(0) { $0 + Double($1.0) * $1.1 } * self.scale
    }
}
