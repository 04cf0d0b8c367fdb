// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a request may be sent to, and how it goes on where that can't serve it.
struct ReplicaOptions: Sendable, Hashable {
    var mode: ReplicaReadMode = .leader
    /// Any replica may serve from what it has, as of the request's timestamp. Goes with `mixed`.
    var isStaleRead = false
    /// Which kind of store may serve. Peers on others are passed over.
    var engine = StoreEngine.tikv
    /// Whether the request only reads data, so that others than the leader may serve it.
    var isRead = false
    /// Labels of the stores to prefer, all of them.
    var labels: [String: String] = [:]
    /// The stores to prefer; empty stands for all.
    var stores: Set<UInt64> = []
    /// Nobody but the leader may serve.
    var isLeaderOnly = false
    /// The leader is to refuse a read that would wait longer than this, which then goes to the least busy replica.
    var busyThreshold: Duration = .zero
    /// The most that one replica may take for a read, where that is to be less than the call's time: then the next one is
    /// asked, at once.
    var readTimeout: Duration?

    init() {}

    /// A read by this mode.
    static func read(_ mode: ReplicaReadMode, labels: [String: String] = [:]) -> ReplicaOptions {
        var options = ReplicaOptions()
        options.isRead = true
        options.mode = mode
        options.labels = labels
        return options
    }

    /// A stale read.
    static func staleRead(labels: [String: String] = [:]) -> ReplicaOptions {
        var options = Self.read(.mixed, labels: labels)
        options.isStaleRead = true
        return options
    }

    /// Whether the leader is the one to ask, with nothing to be told: the way of most requests.
    var isPlain: Bool {
        self.mode == .leader && !self.isStaleRead && self.busyThreshold == .zero && self.engine == .tikv
    }

    /// Whether it matters what labels a store has.
    var dependsOnStores: Bool { !self.labels.isEmpty || !self.stores.isEmpty || self.engine != .tikv }

    /// Any replica on a store of the columnar engine.
    static func columnar() -> ReplicaOptions {
        var options = Self.read(.learner)
        options.engine = .tiflash
        return options
    }

    /// The same request where nobody but leaders serves.
    var asLeaderRead: ReplicaOptions {
        guard self.engine == .tikv else { return self }
        var options = self
        options.mode = .leader
        options.isStaleRead = false
        options.busyThreshold = .zero
        options.labels = [:]
        options.stores = []
        return options
    }
}
