// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A store as PD knows it.
struct StoreState: Sendable {
    var id: UInt64
    /// `host:port`.
    var address: String
    var isRunning: Bool
}
