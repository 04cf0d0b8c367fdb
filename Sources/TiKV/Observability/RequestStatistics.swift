// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What became of the RPCs that some work needed: how many of each kind, how long they took, whom they went to, what went
/// wrong, and what stores say that they cost. See ``withRequestStatistics(_:operation:)``.
public struct RequestStatistics: Sendable, Hashable {
    /// Kinds of errors that are counted each; those of further kinds are counted together, as `other`.
    public static let errorKindLimit = 16
    /// RPCs of which ``accesses`` tells one by one; further ones are counted by store.
    public static let accessLimit = 5

    /// The RPCs of one kind.
    public struct Command: Sendable, Hashable {
        /// How many were sent.
        public var count = 0
        /// The time until they were answered or failed, all together.
        public var time = Duration.zero
    }

    /// Waits of one kind before another try.
    public struct Backoff: Sendable, Hashable {
        /// How many there were.
        public var count = 0
        /// All of them together.
        public var time = Duration.zero
    }

    /// One RPC to a replica.
    public struct Access: Sendable, Hashable {
        /// The region.
        public let regionID: UInt64
        /// The store that was to answer.
        public let storeID: UInt64
        /// The address that the request was sent to: the store's, or that of one which passes it on.
        public let address: String
        /// The replica.
        public let peerID: UInt64
        /// Whether it was asked as another replica than the leader.
        public let isReplicaRead: Bool
        /// Whether it was to answer from what it has.
        public let isStaleRead: Bool
        /// What went wrong, such as `NotLeader` or `unavailable`; nil where it answered.
        public let error: String?
    }

    /// RPCs to one store of which there is no ``Access``.
    public struct FurtherAccesses: Sendable, Hashable {
        /// How many.
        public var count = 0
        /// What went wrong, how often.
        public var errors: [String: Int] = [:]
    }

    /// What became of stale reads, and where their data came from.
    public struct StaleReads: Sendable, Hashable {
        /// Those that the first replica answered from what it had.
        public var hits = 0
        /// Those for which a replica did not have the data yet.
        public var misses = 0
        /// Answers with data from the client's own zone.
        public var localRequests = 0
        /// Bytes of these requests and answers.
        public var localBytes = 0
        /// Answers with data from other zones, or from stores of which no zone is known.
        public var crossZoneRequests = 0
        /// Bytes of these requests and answers.
        public var crossZoneBytes = 0
    }

    /// By the RPC's name, such as `RawGet`.
    public private(set) var commands: [String: Command] = [:]
    /// How often each error was met: region errors by their names, such as `EpochNotMatch`, and gRPC's, such as
    /// `unavailable`.
    public private(set) var errors: [String: Int] = [:]
    /// The first RPCs, in the order in which they ended.
    public private(set) var accesses: [Access] = []
    /// The RPCs after those, by store.
    public private(set) var furtherAccesses: [UInt64: FurtherAccesses] = [:]
    /// What was waited for before another try, such as `regionMiss`, or `txnLockFast` for other transactions' locks.
    public private(set) var backoffs: [String: Backoff] = [:]
    /// The time that it took to find out about other transactions' locks, and to remove them where that was waited for.
    public private(set) var lockTime = Duration.zero
    /// What became of stale reads.
    public private(set) var staleReads = StaleReads()
    /// What stores say that the answers cost them.
    public internal(set) var execution = ExecutionDetails()

    /// Nothing yet.
    public init() {}

    /// All RPCs that were sent.
    public var count: Int { self.commands.values.reduce(0) { $0 + $1.count } }

    mutating func record(_ command: String, took time: Duration) {
        self.commands[command, default: Command()].count += 1
        self.commands[command, default: Command()].time += time
    }

    mutating func recordBackoff(_ name: String, _ time: Duration) {
        self.backoffs[name, default: Backoff()].count += 1
        self.backoffs[name, default: Backoff()].time += time
    }

    mutating func recordLocks(_ time: Duration) { self.lockTime += time }

    /// A request of a stale read was answered.
    ///
    /// - Parameter bytes: of request and answer, where that has data.
    mutating func recordStaleRead(_ access: Access, isLocal: Bool, bytes: Int) {
        guard access.error == nil else {
            if access.isStaleRead { self.staleReads.misses += 1 }
            return
        }
        if access.isStaleRead { self.staleReads.hits += 1 }
        if isLocal {
            self.staleReads.localRequests += 1
            self.staleReads.localBytes += bytes
        } else {
            self.staleReads.crossZoneRequests += 1
            self.staleReads.crossZoneBytes += bytes
        }
    }

    mutating func record(_ access: Access) {
        if let error = access.error { self.count(error, 1) }
        self.add(access)
    }

    private mutating func add(_ access: Access) {
        guard self.accesses.count >= Self.accessLimit else { return self.accesses.append(access) }
        self.furtherAccesses[access.storeID, default: FurtherAccesses()].count += 1
        guard let error = access.error else { return }
        self.furtherAccesses[access.storeID]?.errors[error, default: 0] += 1
    }

    private mutating func count(_ error: String, _ count: Int) {
        let isCounted = self.errors[error] != nil || self.errors.count < Self.errorKindLimit
        self.errors[isCounted ? error : "other", default: 0] += count
    }

    /// Adds those of other work.
    public mutating func merge(_ other: RequestStatistics) {
        for (name, command) in other.commands {
            self.commands[name, default: Command()].count += command.count
            self.commands[name, default: Command()].time += command.time
        }
        for (error, count) in other.errors.sorted(by: { $0.key < $1.key }) { self.count(error, count) }
        for access in other.accesses { self.add(access) }
        for (store, further) in other.furtherAccesses {
            self.furtherAccesses[store, default: FurtherAccesses()].count += further.count
            for (error, count) in further.errors {
                self.furtherAccesses[store]?.errors[error, default: 0] += count
            }
        }
        self.staleReads.hits += other.staleReads.hits
        self.staleReads.misses += other.staleReads.misses
        self.staleReads.localRequests += other.staleReads.localRequests
        self.staleReads.localBytes += other.staleReads.localBytes
        self.staleReads.crossZoneRequests += other.staleReads.crossZoneRequests
        self.staleReads.crossZoneBytes += other.staleReads.crossZoneBytes
        for (name, backoff) in other.backoffs {
            self.backoffs[name, default: Backoff()].count += backoff.count
            self.backoffs[name, default: Backoff()].time += backoff.time
        }
        self.lockTime += other.lockTime
        self.execution.merge(other.execution)
    }
}

extension RequestStatistics: CustomStringConvertible {
    /// All of it in one line, without keys or values.
    public var description: String {
        var text = DetailText()
        for (name, command) in self.commands.sorted(by: { $0.key < $1.key }) {
            text.add(always: name, "{num_rpc: \(command.count), total_time: \(DetailText.words(command.time))}")
        }
        text.add("rpc_errors", text: Self.words(self.errors))
        let accesses = self.accesses.map { access in
            let kind = access.isStaleRead ? ", stale_read" : access.isReplicaRead ? ", replica_read" : ""
            let end = access.error.map { ", error: \($0)" } ?? ""
            return "{region: \(access.regionID), peer: \(access.peerID), store: \(access.storeID)\(kind)\(end)}"
        }
        if !accesses.isEmpty { text.add(always: "replica_access", "[\(accesses.joined(separator: ", "))]") }
        for (store, further) in self.furtherAccesses.sorted(by: { $0.key < $1.key }) {
            var inner = DetailText()
            inner.add("count", UInt64(further.count))
            inner.add("errors", text: Self.words(further.errors))
            text.add("store_\(store)_further", text: inner.text)
        }
        for (name, backoff) in self.backoffs.sorted(by: { $0.key < $1.key }) {
            text.add(
                always: "\(name)_backoff", "{num: \(backoff.count), total_time: \(DetailText.words(backoff.time))}")
        }
        text.add("resolve_lock_time", self.lockTime)
        text.add("exec_details", text: self.execution.description)
        return text.text
    }

    private static func words(_ errors: [String: Int]) -> String {
        errors.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
    }
}
