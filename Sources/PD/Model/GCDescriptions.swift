// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// What keeps data of the past: nothing after its timestamp is collected while it stands.
package struct GCBarrier: Sendable, Hashable {
    package var id: String
    package var timestamp: Timestamp
    /// How much longer it stands; nil is for good.
    package var timeToLive: Duration?

    package init(id: String, timestamp: Timestamp, timeToLive: Duration? = nil) {
        self.id = id
        self.timestamp = timestamp
        self.timeToLive = timeToLive
    }
}

/// How far garbage collection has come, for a keyspace or for all that have none of their own.
package struct GCState: Sendable, Hashable {
    /// Nil for those keyspaces that are collected together.
    package var keyspaceID: UInt32?
    /// Transactions that began before this one must not go on.
    package var txnSafePoint: Timestamp
    /// Data that only older transactions could see may be gone.
    package var gcSafePoint: Timestamp
    /// What holds the transactions' safe point back; empty where that was not asked for.
    package var barriers: [GCBarrier]
}

/// What came of moving the transactions' safe point.
package struct TxnSafePointAdvance: Sendable, Hashable {
    package var old: Timestamp
    package var new: Timestamp
    /// What kept it from going all the way; empty where it did.
    package var blocker: String

    package init(old: Timestamp, new: Timestamp, blocker: String) {
        self.old = old
        self.new = new
        self.blocker = blocker
    }
}

/// The service whose safe point is the lowest: it is what holds garbage collection back.
package struct ServiceSafePoint: Sendable, Hashable {
    package var serviceID: String
    package var safePoint: Timestamp
    /// How much longer it stands; nil is for good.
    package var timeToLive: Duration?

    package init(serviceID: String, safePoint: Timestamp, timeToLive: Duration?) {
        self.serviceID = serviceID
        self.safePoint = safePoint
        self.timeToLive = timeToLive
    }
}

/// Times to live as PD has them: whole seconds, of which the most there are stand for ever.
enum GCTimeToLive {
    static func seconds(_ duration: Duration?) -> Int64 {
        guard let duration else { return .max }
        let (seconds, attoseconds) = duration.components
        // Rather a little long than too short.
        return attoseconds > 0 && seconds < .max ? seconds + 1 : seconds
    }

    static func duration(_ seconds: Int64) -> Duration? {
        // What is left of "for ever" may be a few seconds short of it.
        seconds >= .max / 2 ? nil : .seconds(seconds)
    }
}

extension GCBarrier {
    init(_ info: Pdpb_GCBarrierInfo) {
        self.init(
            id: info.barrierID, timestamp: Timestamp(rawValue: info.barrierTs),
            timeToLive: GCTimeToLive.duration(info.ttlSeconds))
    }

    init(_ info: Pdpb_GlobalGCBarrierInfo) {
        self.init(
            id: info.barrierID, timestamp: Timestamp(rawValue: info.barrierTs),
            timeToLive: GCTimeToLive.duration(info.ttlSeconds))
    }
}

extension GCState {
    init(_ state: Pdpb_GCState) {
        self.init(
            keyspaceID: state.isKeyspaceLevelGc ? KeyspaceScope.id(state.keyspaceScope) : nil,
            txnSafePoint: Timestamp(rawValue: state.txnSafePoint),
            gcSafePoint: Timestamp(rawValue: state.gcSafePoint),
            barriers: state.gcBarriers.map { GCBarrier($0) })
    }
}

/// Which keyspace a question about garbage collection is for.
enum KeyspaceScope {
    /// PD's number for "no keyspace".
    static let none = UInt32.max

    static func proto(_ id: UInt32?) -> Pdpb_KeyspaceScope {
        var scope = Pdpb_KeyspaceScope()
        scope.keyspaceID = id ?? Self.none
        return scope
    }

    static func id(_ scope: Pdpb_KeyspaceScope) -> UInt32? {
        switch scope.keyspace {
        case .keyspaceID(let id)?: id == Self.none ? nil : id
        case .keyspaceIdentity(let identity)?: identity.keyspaceID
        case nil: nil
        }
    }
}
