// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import TiKVProto

/// A share of the cluster's capacity, in request units a second, for those who name it in their requests.
package struct ResourceGroup: Sendable, Hashable {
    /// Tokens that fill up at a steady rate.
    package struct Bucket: Sendable, Hashable {
        /// Tokens that come in each second.
        package var fillRate: UInt64
        /// Tokens that it holds at most; 0 is the fill rate, negative is without limit.
        package var burstLimit: Int64
        /// Tokens that are there.
        package var tokens: Double

        package init(fillRate: UInt64, burstLimit: Int64 = 0, tokens: Double = 0) {
            self.fillRate = fillRate
            self.burstLimit = burstLimit
            self.tokens = tokens
        }
    }

    package var name: String
    /// From 1, low, to 16, high; 0 is PD's default.
    package var priority: UInt32
    package var requestUnits: Bucket
    /// What was used so far; nil where that was not asked for.
    package var consumption: Consumption?

    package init(name: String, priority: UInt32 = 0, requestUnits: Bucket, consumption: Consumption? = nil) {
        self.name = name
        self.priority = priority
        self.requestUnits = requestUnits
        self.consumption = consumption
    }
}

/// What requests have cost.
package struct Consumption: Sendable, Hashable {
    package var readUnits: Double
    package var writeUnits: Double
    package var readBytes: Double
    package var writeBytes: Double
    package var processorMilliseconds: Double
    package var readRequests: Double
    package var writeRequests: Double

    package init(
        readUnits: Double = 0, writeUnits: Double = 0, readBytes: Double = 0, writeBytes: Double = 0,
        processorMilliseconds: Double = 0, readRequests: Double = 0, writeRequests: Double = 0
    ) {
        self.readUnits = readUnits
        self.writeUnits = writeUnits
        self.readBytes = readBytes
        self.writeBytes = writeBytes
        self.processorMilliseconds = processorMilliseconds
        self.readRequests = readRequests
        self.writeRequests = writeRequests
    }
}

/// A client's wish for tokens of one group, and what it used of those that it had.
package struct TokenRequest: Sendable, Hashable {
    package var group: String
    /// Request units wanted.
    package var units: Double
    /// Used since the last request.
    package var consumption: Consumption

    package init(group: String, units: Double, consumption: Consumption = .init()) {
        self.group = group
        self.units = units
        self.consumption = consumption
    }
}

/// Tokens that PD gave.
package struct TokenGrant: Sendable, Hashable {
    package var group: String
    package var tokens: ResourceGroup.Bucket
    /// The time over which they are to be spent; zero is at once.
    package var trickleTime: Duration

    package init(group: String, tokens: ResourceGroup.Bucket, trickleTime: Duration) {
        self.group = group
        self.tokens = tokens
        self.trickleTime = trickleTime
    }
}

extension ResourceGroup {
    init(_ group: ResourceManager_ResourceGroup) {
        self.init(
            name: group.name, priority: group.priority, requestUnits: Bucket(group.rUSettings.rU),
            consumption: group.hasRustats ? Consumption(group.rustats) : nil)
    }

    func proto(_ keyspaceID: UInt32?) -> ResourceManager_ResourceGroup {
        var group = ResourceManager_ResourceGroup()
        group.name = self.name
        group.mode = .rumode
        group.priority = self.priority
        group.rUSettings.rU = self.requestUnits.proto
        if let keyspaceID { group.keyspaceID.value = keyspaceID }
        return group
    }
}

extension ResourceGroup.Bucket {
    init(_ bucket: ResourceManager_TokenBucket) {
        self.init(
            fillRate: bucket.settings.fillRate, burstLimit: bucket.settings.burstLimit, tokens: bucket.tokens)
    }

    var proto: ResourceManager_TokenBucket {
        var bucket = ResourceManager_TokenBucket()
        bucket.settings.fillRate = self.fillRate
        bucket.settings.burstLimit = self.burstLimit
        bucket.tokens = self.tokens
        return bucket
    }
}

extension Consumption {
    init(_ consumption: ResourceManager_Consumption) {
        self.init(
            readUnits: consumption.rRU, writeUnits: consumption.wRU, readBytes: consumption.readBytes,
            writeBytes: consumption.writeBytes, processorMilliseconds: consumption.totalCpuTimeMs,
            readRequests: consumption.kvReadRpcCount, writeRequests: consumption.kvWriteRpcCount)
    }

    package var proto: ResourceManager_Consumption {
        var consumption = ResourceManager_Consumption()
        consumption.rRU = self.readUnits
        consumption.wRU = self.writeUnits
        consumption.readBytes = self.readBytes
        consumption.writeBytes = self.writeBytes
        consumption.totalCpuTimeMs = self.processorMilliseconds
        consumption.kvReadRpcCount = self.readRequests
        consumption.kvWriteRpcCount = self.writeRequests
        return consumption
    }
}

extension TokenRequest {
    func proto(_ keyspaceID: UInt32?) -> ResourceManager_TokenBucketRequest {
        var item = ResourceManager_RequestUnitItem()
        item.type = .ru
        item.value = self.units
        var request = ResourceManager_TokenBucketRequest()
        request.resourceGroupName = self.group
        request.ruItems.requestRU = [item]
        request.consumptionSinceLastRequest = self.consumption.proto
        if let keyspaceID { request.keyspaceID.value = keyspaceID }
        return request
    }
}
