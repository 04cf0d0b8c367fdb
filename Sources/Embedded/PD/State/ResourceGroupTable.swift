// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

/// The resource groups, with the one that PD makes by itself, and what was used of each.
struct ResourceGroupTable: Sendable {
    static let defaultName = "default"

    private(set) var groups: [String: ResourceManager_ResourceGroup] = [
        Self.defaultName: .with {
            $0.name = Self.defaultName
            $0.mode = .rumode
            $0.priority = 8
            $0.rUSettings.rU.settings.fillRate = UInt64(Int32.max)
            $0.rUSettings.rU.settings.burstLimit = -1
        }
    ]
    private(set) var used: [String: ResourceManager_Consumption] = [:]

    func group(_ name: String, withUse: Bool) -> ResourceManager_ResourceGroup? {
        guard var group = self.groups[name] else { return nil }
        if withUse { group.rustats = self.used[name] ?? .init() }
        return group
    }

    /// - Returns: what is wrong with it; nil where it was taken.
    mutating func add(_ group: ResourceManager_ResourceGroup) -> String? {
        if group.name.isEmpty || group.name.utf8.count > 32 { return "invalid group name" }
        guard self.groups[group.name] == nil else {
            return "the group \(group.name) already exists"
        }
        if group.priority > 16 { return "invalid priority" }
        self.groups[group.name] = group
        return nil
    }

    mutating func modify(_ group: ResourceManager_ResourceGroup) -> String? {
        guard self.groups[group.name] != nil else { return "the group \(group.name) does not exist" }
        self.groups[group.name] = group
        return nil
    }

    mutating func delete(_ name: String) -> String? {
        if name == Self.defaultName { return "the default group cannot be deleted" }
        guard self.groups.removeValue(forKey: name) != nil else { return "the group \(name) does not exist" }
        self.used[name] = nil
        return nil
    }

    /// Gives what is asked for, as far as the group has no limit, or its rate over the period covers it.
    mutating func acquire(
        _ request: ResourceManager_TokenBucketRequest, period: UInt64
    ) -> ResourceManager_TokenBucketResponse? {
        guard let group = self.groups[request.resourceGroupName] else { return nil }
        var sum = self.used[group.name] ?? .init()
        let consumption = request.consumptionSinceLastRequest
        sum.rRU += consumption.rRU
        sum.wRU += consumption.wRU
        sum.readBytes += consumption.readBytes
        sum.writeBytes += consumption.writeBytes
        sum.totalCpuTimeMs += consumption.totalCpuTimeMs
        sum.kvReadRpcCount += consumption.kvReadRpcCount
        sum.kvWriteRpcCount += consumption.kvWriteRpcCount
        self.used[group.name] = sum
        let wanted = request.ruItems.requestRU.reduce(0) { $0 + $1.value }
        let settings = group.rUSettings.rU.settings
        let hasLimit = settings.burstLimit >= 0
        let affordable = Double(settings.fillRate) * Double(period) / 1000
        return .with {
            $0.resourceGroupName = group.name
            $0.grantedRUTokens = [
                .with {
                    $0.grantedTokens.settings = settings
                    $0.grantedTokens.tokens = hasLimit ? min(wanted, affordable) : wanted
                    $0.trickleTimeMs = hasLimit && wanted > affordable ? Int64(clamping: period) : 0
                }
            ]
        }
    }
}
