// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How the PD client behaves.
package struct PDConfiguration: Sendable {
    /// How long one member may take to answer before another is asked; default 3 s.
    package var requestTimeout: Duration

    package init(requestTimeout: Duration = .seconds(3)) {
        self.requestTimeout = requestTimeout
    }
}
