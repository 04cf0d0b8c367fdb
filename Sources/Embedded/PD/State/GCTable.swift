// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Why PD refuses to change how far garbage collection is; in its own words.
struct GCRefusal: Error, Equatable {
    var message: String

    init(_ message: String) {
        self.message = message
    }
}

/// How far garbage collection is for each keyspace that has its own, and for all others together, with what holds it back.
///
/// Times are Unix times in milliseconds; a barrier whose time is over counts no more, and is forgotten for good the next
/// time the transactions' safe point is moved.
struct GCTable: Sendable {
    struct Barrier: Sendable, Hashable {
        var id: String
        var timestamp: UInt64
        /// Nil is never.
        var expires: UInt64?

        /// In whole seconds, rounded down; the most there are for one without end.
        func timeToLive(now: UInt64) -> Int64 {
            guard let expires = self.expires else { return .max }
            return expires > now ? Int64((expires - now) / 1000) : 0
        }

        func isExpired(now: UInt64) -> Bool { self.expires.map { $0 <= now } ?? false }
    }

    struct Scope: Sendable {
        var txnSafePoint: UInt64 = 0
        var gcSafePoint: UInt64 = 0
        var barriers: [String: Barrier] = [:]
    }

    struct Advance: Sendable, Equatable {
        var old: UInt64
        var new: UInt64
        var blocker = ""
        /// The id of the barrier that stood in the way.
        var blockerID = ""
    }

    /// The name that older TiDBs move the transactions' safe point by; no barrier may have it.
    static let gcWorker = "gc_worker"
    /// The name that backups keep data by, in all keyspaces.
    static let nativeBackup = "native_br"

    /// By keyspace; nil is all that have none of their own.
    private(set) var scopes: [UInt32?: Scope] = [nil: Scope()]
    private(set) var globalBarriers: [String: Barrier] = [:]

    func scope(_ keyspace: UInt32?) -> Scope { self.scopes[keyspace] ?? Scope() }

    private static func expiry(_ seconds: Int64, now: UInt64) -> UInt64? {
        let (milliseconds, overflow) = UInt64(max(0, seconds)).multipliedReportingOverflow(by: 1000)
        guard !overflow, seconds < .max / 1_000_000_000 else { return nil }
        return now + milliseconds
    }

    // MARK: - Safe points

    mutating func advanceTxnSafePoint(
        _ keyspace: UInt32?, to target: UInt64, now: UInt64
    ) throws(GCRefusal) -> Advance {
        var scope = self.scope(keyspace)
        guard target >= scope.txnSafePoint else {
            throw GCRefusal(
                "[PD:gc:ErrDecreasingTxnSafePoint]trying to update txn safe point to a smaller value, "
                    + "current value: \(scope.txnSafePoint), given: \(target)")
        }
        scope.barriers = scope.barriers.filter { !$0.value.isExpired(now: now) }
        self.globalBarriers = self.globalBarriers.filter { !$0.value.isExpired(now: now) }
        var advance = Advance(old: scope.txnSafePoint, new: target)
        for barrier in Array(scope.barriers.values) + Array(self.globalBarriers.values)
        where barrier.timestamp < advance.new {
            advance.new = barrier.timestamp
            advance.blocker = "GCBarrier { BarrierID: \"\(barrier.id)\", BarrierTS: \(barrier.timestamp) }"
            advance.blockerID = barrier.id
        }
        advance.new = max(advance.new, scope.txnSafePoint)
        scope.txnSafePoint = advance.new
        self.scopes[keyspace] = scope
        return advance
    }

    /// - Parameter isCompatible: whether a target behind the safe point is no error but changes nothing, as older clients
    ///   expect.
    mutating func advanceGCSafePoint(
        _ keyspace: UInt32?, to target: UInt64, isCompatible: Bool = false
    ) throws(GCRefusal) -> Advance {
        var scope = self.scope(keyspace)
        let old = scope.gcSafePoint
        if target < old {
            if isCompatible { return Advance(old: old, new: old) }
            throw GCRefusal(
                "[PD:gc:ErrDecreasingGCSafePoint]trying to update GC safe point to a smaller value, "
                    + "current value: \(old), given: \(target)")
        }
        guard target <= scope.txnSafePoint else {
            throw GCRefusal(
                "[PD:gc:ErrGCSafePointExceedsTxnSafePoint]trying to update GC safe point to a too large value that "
                    + "exceeds the txn safe point, current value: \(old), given: \(target), current txn safe point: "
                    + "\(scope.txnSafePoint)")
        }
        scope.gcSafePoint = target
        self.scopes[keyspace] = scope
        return Advance(old: old, new: target)
    }

    // MARK: - Barriers

    mutating func setBarrier(
        _ id: String, _ keyspace: UInt32?, at timestamp: UInt64, seconds: Int64, now: UInt64
    ) throws(GCRefusal) -> Barrier {
        try Self.check(id, seconds)
        var scope = self.scope(keyspace)
        guard timestamp >= scope.txnSafePoint else {
            throw GCRefusal(
                "[PD:gc:ErrGCBarrierTSBehindTxnSafePoint]trying to set a GC barrier on ts \(timestamp) which is already "
                    + "behind the txn safe point \(scope.txnSafePoint)")
        }
        let barrier = Barrier(id: id, timestamp: timestamp, expires: Self.expiry(seconds, now: now))
        scope.barriers[id] = barrier
        self.scopes[keyspace] = scope
        return barrier
    }

    mutating func deleteBarrier(_ id: String, _ keyspace: UInt32?) throws(GCRefusal) -> Barrier? {
        try Self.check(id, 1)
        return self.scopes[keyspace]?.barriers.removeValue(forKey: id)
    }

    mutating func setGlobalBarrier(
        _ id: String, at timestamp: UInt64, seconds: Int64, now: UInt64
    ) throws(GCRefusal) -> Barrier {
        try Self.check(id, seconds)
        let latest = self.scopes.values.map(\.txnSafePoint).max() ?? 0
        guard timestamp >= latest else {
            throw GCRefusal(
                "[PD:gc:ErrGlobalGCBarrierTSBehindTxnSafePoint]trying to set a global GC barrier on ts \(timestamp) "
                    + "which is already behind the txn safe point \(latest)")
        }
        let barrier = Barrier(id: id, timestamp: timestamp, expires: Self.expiry(seconds, now: now))
        self.globalBarriers[id] = barrier
        return barrier
    }

    mutating func deleteGlobalBarrier(_ id: String) throws(GCRefusal) -> Barrier? {
        try Self.check(id, 1)
        return self.globalBarriers.removeValue(forKey: id)
    }

    private static func check(_ id: String, _ seconds: Int64) throws(GCRefusal) {
        guard seconds > 0 else { throw GCRefusal("[PD:common:ErrInvalidArgument]invalid argument ttl") }
        guard !id.isEmpty else { throw GCRefusal("[PD:common:ErrInvalidArgument]invalid argument barrierID") }
        guard id != Self.gcWorker else {
            throw GCRefusal("[PD:gc:ErrReservedGCBarrierID]trying to use a reserved GC barrier ID: \(id)")
        }
    }

    // MARK: - Older forms

    /// The safe points of services, in whose place barriers came.
    ///
    /// - Returns: who holds garbage collection back, and where; its time to live in seconds.
    mutating func updateServiceSafePoint(
        _ service: String, _ keyspace: UInt32?, to safePoint: UInt64, seconds: Int64, now: UInt64
    ) throws(GCRefusal) -> (service: String, safePoint: UInt64, seconds: Int64) {
        if service == Self.gcWorker {
            guard seconds == .max else {
                throw GCRefusal("TTL of gc_worker's service safe point must be infinity")
            }
            let advance = try self.advanceTxnSafePoint(keyspace, to: safePoint, now: now)
            let blocker = advance.new == safePoint ? service : advance.blockerID
            return (blocker, advance.new, .max)
        }
        do throws(GCRefusal) {
            let isGlobal = service == Self.nativeBackup && keyspace == nil
            switch (isGlobal, seconds > 0) {
            case (true, true):
                _ = try self.setGlobalBarrier(service, at: safePoint, seconds: seconds, now: now)
            case (true, false):
                _ = try self.deleteGlobalBarrier(service)
            case (false, true):
                _ = try self.setBarrier(service, keyspace, at: safePoint, seconds: seconds, now: now)
            case (false, false):
                _ = try self.deleteBarrier(service, keyspace)
            }
        } catch {
            // One that comes too late is told so by the safe point that it gets.
            guard error.message.contains("BehindTxnSafePoint") else { throw error }
        }
        return (Self.gcWorker, self.scope(keyspace).txnSafePoint, .max)
    }

    /// Moves both safe points, as far as barriers let them: what older clients expect of one call.
    mutating func updateGCSafePoint(_ keyspace: UInt32?, to target: UInt64) throws(GCRefusal) -> UInt64 {
        try self.advanceGCSafePoint(keyspace, to: target, isCompatible: true).new
    }
}
