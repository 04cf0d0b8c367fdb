// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

extension ClientConfiguration {
    /// Talking to PD.
    public struct PD: Sendable {
        /// How long one member of PD may take to answer before another is asked; default 3 s.
        public var requestTimeout: Duration

        /// How often the members are asked for, to learn of new ones and of new addresses; default 60 s.
        public var memberRefreshInterval: Duration

        /// Whether calls go through a follower of PD while its leader can't be reached; default false. For networks in
        /// which PD's members reach each other while a client reaches only some of them.
        public var isForwardingEnabled: Bool

        /// Whether followers of PD answer for regions in turn with its leader, which takes load off that; default false.
        /// What they know may be a little old, which costs a question to the leader. While nobody leads they are asked in
        /// any case.
        public var asksFollowers: Bool

        /// How often the timestamp is fetched that costs nothing to read, as for telling whether locks have expired;
        /// default 2 s. Stale reads may make it more often.
        public var lowResolutionInterval: Duration

        /// How long callers who want timestamps may wait for more of them to share a request, where fewer than 8 wait;
        /// default zero, at most 10 ms. More calls wait the longer, and PD has less to do.
        public var maximumTimestampWait: Duration

        /// Streams on which timestamps are asked for at the same time; default 1, at least 1.
        public var timestampStreams: Int

        /// Whether these streams go to all members of PD, the followers passing requests on to the leader; default false.
        /// It takes connections off the leader where there are many clients, with as many
        /// ``timestampStreams`` as PD has members, and makes timestamps slower.
        public var usesTimestampFollowers: Bool

        /// When questions for regions are held back, off by default.
        public var circuitBreaker: CircuitBreaker

        /// Who PD is told that asks, for its own metrics and logs; default `tikv-swift`.
        public var callerID: String

        /// Settings; what is not named has its default.
        public init(
            requestTimeout: Duration = .seconds(3), memberRefreshInterval: Duration = .seconds(60),
            isForwardingEnabled: Bool = false, asksFollowers: Bool = false,
            lowResolutionInterval: Duration = .seconds(2), maximumTimestampWait: Duration = .zero,
            timestampStreams: Int = 1, usesTimestampFollowers: Bool = false, circuitBreaker: CircuitBreaker = .init(),
            callerID: String = "tikv-swift"
        ) {
            self.requestTimeout = requestTimeout
            self.memberRefreshInterval = memberRefreshInterval
            self.isForwardingEnabled = isForwardingEnabled
            self.asksFollowers = asksFollowers
            self.lowResolutionInterval = lowResolutionInterval
            self.maximumTimestampWait = maximumTimestampWait
            self.timestampStreams = timestampStreams
            self.usesTimestampFollowers = usesTimestampFollowers
            self.circuitBreaker = circuitBreaker
            self.callerID = callerID
        }
    }
}

extension ClientConfiguration.PD {
    /// Holds questions for regions back from a PD that is overloaded: where too many of them failed within a while, all
    /// fail at once with ``TiKVError/Code/pdUnreachable`` until a pause is over and a few that are let through succeed.
    public struct CircuitBreaker: Sendable {
        /// The part of the questions, in percent, whose failure makes the others be held back; the default, 0, is never.
        public var errorPercentage: Int
        /// Fewer questions a second than this count for nothing; default 10.
        public var minimumRate: Int
        /// The time over which questions are counted; default 30 s.
        public var window: Duration
        /// How long they are held back; default 10 s.
        public var coolDown: Duration
        /// Questions that are let through after that, all of which must succeed; default 1, at least 1.
        public var trials: Int

        /// Settings; what is not named has its default.
        public init(
            errorPercentage: Int = 0, minimumRate: Int = 10, window: Duration = .seconds(30),
            coolDown: Duration = .seconds(10), trials: Int = 1
        ) {
            self.errorPercentage = errorPercentage
            self.minimumRate = minimumRate
            self.window = window
            self.coolDown = coolDown
            self.trials = trials
        }
    }
}

extension ClientConfiguration.PD {
    /// The same, for the client of PD.
    var forClient: PDConfiguration {
        PDConfiguration(
            requestTimeout: self.requestTimeout, memberRefreshInterval: self.memberRefreshInterval,
            forwarding: self.isForwardingEnabled, followerHandling: self.asksFollowers, callerID: self.callerID,
            circuitBreaker: TiKVPD.CircuitBreaker.Configuration(
                window: self.circuitBreaker.window, minimumRate: self.circuitBreaker.minimumRate,
                errorPercentage: self.circuitBreaker.errorPercentage, coolDown: self.circuitBreaker.coolDown,
                trials: max(1, self.circuitBreaker.trials)),
            lowResolutionInterval: self.lowResolutionInterval,
            timestamps: TSOConfiguration(
                requestTimeout: self.requestTimeout,
                maximumWait: min(max(.zero, self.maximumTimestampWait), .milliseconds(10)),
                streams: max(1, self.timestampStreams), usesFollowers: self.usesTimestampFollowers))
    }
}
