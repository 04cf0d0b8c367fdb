// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How timestamps are asked for.
package struct TSOConfiguration: Sendable {
    /// How long a request on the stream may stay without an answer before the stream is given up; default 3 s.
    package var requestTimeout: Duration
    /// The wait before another stream is tried where the last one brought nothing.
    package var backoff: BackoffKind
    var limits: TSOLimits

    package init(
        requestTimeout: Duration = .seconds(3),
        backoff: BackoffKind = BackoffKind(
            "tso", base: .milliseconds(50), cap: .milliseconds(500), jitter: .equal)
    ) {
        self.requestTimeout = requestTimeout
        self.backoff = backoff
        self.limits = .init()
    }
}
