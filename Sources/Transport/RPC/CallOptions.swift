// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a caller may say about one call.
package struct CallOptions: Sendable {
    /// Time from the start of the call until it fails with `deadlineExceeded`; sent to the server as `grpc-timeout`.
    /// Nil waits for as long as the connection lives.
    package var timeout: Duration?

    /// Of a stream, the longest that one message may let its reader wait; then the stream fails with `deadlineExceeded`, and
    /// the server is told. Nil waits for as long as the call's timeout lets it.
    package var receiveTimeout: Duration?

    /// Custom metadata for the request's headers.
    package var metadata: Metadata

    /// Order among commands that wait for the batch stream: higher first; 10 and over are not held back by the limit of
    /// commands in flight. (TiKV's `resource_control_context.override_priority`.)
    package var priority: UInt64

    /// The address of another store that the server is to hand the call on to; nil where the call is for the server
    /// itself. (TiKV's `tikv-forwarded-host`.)
    package var forwardedHost: String?

    package init(
        timeout: Duration? = nil, metadata: Metadata = [:], priority: UInt64 = 0, forwardedHost: String? = nil,
        receiveTimeout: Duration? = nil
    ) {
        self.receiveTimeout = receiveTimeout
        self.forwardedHost = forwardedHost
        self.priority = priority
        self.timeout = timeout
        self.metadata = metadata
    }
}
