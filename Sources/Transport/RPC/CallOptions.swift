// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a caller may say about one call.
package struct CallOptions: Sendable {
    /// Time from the start of the call until it fails with `deadlineExceeded`; sent to the server as `grpc-timeout`.
    /// Nil waits for as long as the connection lives.
    package var timeout: Duration?

    /// Custom metadata for the request's headers.
    package var metadata: Metadata

    package init(timeout: Duration? = nil, metadata: Metadata = [:]) {
        self.timeout = timeout
        self.metadata = metadata
    }
}
