// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVPD
import TiKVProto

/// What requests have cost, in request units.
public struct ResourceUsage: Sendable, Hashable {
    /// Units of reads and of writes, as this client charges them to the resource group; 0 without
    /// ``ClientConfiguration/ResourceControl/isEnabled``.
    public internal(set) var readUnits = 0.0
    /// See ``readUnits``.
    public internal(set) var writeUnits = 0.0
    /// How long requests were held back for the group's sake.
    public internal(set) var wait = Duration.zero
    /// Units of the second version, as far as the stores tell what they are made of.
    public var unitsV2: Double { UsageWeights().units(self.counters) }
    /// Requests that were answered, reads and writes.
    public var readRequests: UInt64 { self.counters.readRequests }
    /// See ``readRequests``.
    public var writeRequests: UInt64 { self.counters.writeRequests }
    var counters = UsageCounters()

    /// Nothing used.
    public init() {}

    /// Adds what somebody else has used.
    public mutating func add(_ other: ResourceUsage) {
        self.readUnits += other.readUnits
        self.writeUnits += other.writeUnits
        self.wait += other.wait
        self.counters.add(other.counters)
    }

    /// Adds what the columnar engine beside the stores says that it has used.
    mutating func addColumnar(_ consumption: ResourceManager_Consumption) {
        self.readUnits += consumption.rRU
        self.writeUnits += consumption.wRU
    }
}

/// Sums up what requests cost.
///
/// ```swift
/// let recorder = ResourceUsageRecorder()
/// try await withResourceUsage(recordedBy: recorder) { try await client.batchGet(keys) }
/// print(recorder.usage.unitsV2)
/// ```
public final class ResourceUsageRecorder: Sendable {
    private let state = Mutex(ResourceUsage())

    /// A recorder that has seen nothing.
    public init() {}

    /// What was used since the beginning, or since it was drained.
    public var usage: ResourceUsage { self.state.withLock { $0 } }

    /// What was used since the last time; from here on it is counted anew.
    public func drain() -> ResourceUsage {
        self.state.withLock { state in
            defer { state = ResourceUsage() }
            return state
        }
    }

    /// Adds what another one has seen.
    public func merge(_ other: ResourceUsageRecorder) {
        let usage = other.usage
        self.state.withLock { $0.add(usage) }
    }

    func add(_ usage: ResourceUsage) {
        self.state.withLock { $0.add(usage) }
    }
}

/// Runs `operation` and records what its requests cost, those of its child tasks included.
public func withResourceUsage<Result>(
    recordedBy recorder: ResourceUsageRecorder, operation: () async throws -> Result
) async rethrows -> Result {
    var scope = ResourceScope.scoped ?? ResourceScope()
    scope.recorder = recorder
    return try await ResourceScope.$scoped.withValue(scope, operation: operation)
}
