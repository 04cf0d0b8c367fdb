// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What taking pessimistic locks took. See ``Transaction/lockDetails``.
public struct LockDetails: Sendable, Hashable {
    /// One request for locks, with all its tries.
    public struct Request: Sendable, Hashable {
        /// The region whose keys were locked.
        public var regionID: UInt64
        /// How long it took.
        public var time: Duration

        /// A request.
        public init(regionID: UInt64, time: Duration) {
            self.regionID = regionID
            self.time = time
        }
    }

    /// The calls that asked stores for locks. What a transaction holds already is not asked for again.
    public var callCount = 0
    /// The keys that they asked for.
    public var keyCount = 0
    /// The regions that the keys were in when they were first looked up.
    public var regionCount = 0
    /// How many requests were made for that, those that were answered in vain included.
    public var requestCount = 0
    /// How often a call began anew with a later timestamp, since a key was committed meanwhile.
    public var retryCount = 0
    /// How often another transaction's lock was in the way when a store had waited for it.
    public var waitCount = 0
    /// In fair locking: how many keys were locked although they were committed after the call's timestamp.
    public var conflictCount = 0
    /// In fair locking: how many keys were asked for, and how many were known from the attempt before.
    public var fairCount = 0
    /// See ``fairCount``.
    public var knownCount = 0
    /// The time of the calls from beginning to end.
    public var time = Duration.zero
    /// The time of the requests, which may go side by side.
    public var requestTime = Duration.zero
    /// The part of it in which it was found out what became of the transactions in the way, and their locks were removed.
    public var resolveTime = Duration.zero
    /// The slowest request; nil where there was none.
    public var slowestRequest: Request?

    /// Nothing yet.
    public init() {}

    /// Adds what other calls took: counts and times, and the slower of the slowest requests.
    public mutating func merge(_ other: LockDetails) {
        self.callCount += other.callCount
        self.keyCount += other.keyCount
        self.regionCount += other.regionCount
        self.requestCount += other.requestCount
        self.retryCount += other.retryCount
        self.waitCount += other.waitCount
        self.conflictCount += other.conflictCount
        self.fairCount += other.fairCount
        self.knownCount += other.knownCount
        self.time += other.time
        self.requestTime += other.requestTime
        self.resolveTime += other.resolveTime
        if let slowest = other.slowestRequest { self.note(slowest) }
    }

    /// Takes note of a request, if it is the slowest so far.
    mutating func note(_ request: Request) {
        guard request.time > self.slowestRequest?.time ?? .zero else { return }
        self.slowestRequest = request
    }
}
