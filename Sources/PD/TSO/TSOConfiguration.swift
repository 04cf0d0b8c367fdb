// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How timestamps are asked for.
package struct TSOConfiguration: Sendable {
    /// How long a request on the stream may stay without an answer before the stream is given up; default 3 s.
    package var requestTimeout: Duration
    /// The wait before another stream is tried where the last one brought nothing.
    package var backoff: BackoffKind
    /// How long a few callers may wait for more of them to share a request; default zero.
    package var maximumWait: Duration
    /// Streams at the same time; default 1.
    package var streams: Int
    /// Whether streams go to all members of PD, of which the followers pass requests on; default false.
    package var usesFollowers: Bool
    var limits: TSOLimits

    package init(
        requestTimeout: Duration = .seconds(3),
        backoff: BackoffKind = BackoffKind(
            "tso", base: .milliseconds(50), cap: .milliseconds(500), jitter: .equal),
        maximumWait: Duration = .zero, streams: Int = 1, usesFollowers: Bool = false
    ) {
        self.requestTimeout = requestTimeout
        self.backoff = backoff
        self.maximumWait = maximumWait
        self.streams = streams
        self.usesFollowers = usesFollowers
        self.limits = .init()
    }
}
