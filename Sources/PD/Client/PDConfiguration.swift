// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How the PD client behaves.
package struct PDConfiguration: Sendable {
    /// How long one member may take to answer before another is asked; default 3 s.
    package var requestTimeout: Duration
    /// How often the members are asked for, to learn of new ones and of new addresses; default 60 s.
    package var memberRefreshInterval: Duration
    /// Whether calls go through a follower while the leader itself cannot be reached; default false.
    package var forwarding: Bool
    /// How often such a leader is tried again; default 1 s.
    package var probeInterval: Duration
    /// Whether followers may answer for regions, in turn with the leader, where the call allows it; default false.
    package var followerHandling: Bool
    /// Who PD is told that we are; default `tikv-swift`.
    package var callerID: String
    /// When questions for regions are held back; off by default.
    package var circuitBreaker: CircuitBreaker.Configuration
    /// How often the low-resolution timestamp is fetched; default 2 s.
    package var lowResolutionInterval: Duration
    /// The keyspace whose timestamps are asked for, where a service apart from PD hands them out; default 0.
    package var keyspaceID: UInt32
    /// How timestamps are asked for.
    package var timestamps: TSOConfiguration

    package init(
        requestTimeout: Duration = .seconds(3), memberRefreshInterval: Duration = .seconds(60),
        forwarding: Bool = false, probeInterval: Duration = .seconds(1), followerHandling: Bool = false,
        callerID: String = "tikv-swift", circuitBreaker: CircuitBreaker.Configuration = .init(),
        lowResolutionInterval: Duration = .seconds(2), keyspaceID: UInt32 = 0,
        timestamps: TSOConfiguration? = nil
    ) {
        self.requestTimeout = requestTimeout
        self.memberRefreshInterval = memberRefreshInterval
        self.forwarding = forwarding
        self.probeInterval = probeInterval
        self.followerHandling = followerHandling
        self.callerID = callerID
        self.circuitBreaker = circuitBreaker
        self.lowResolutionInterval = lowResolutionInterval
        self.keyspaceID = keyspaceID
        self.timestamps = timestamps ?? TSOConfiguration(requestTimeout: requestTimeout)
    }
}
