// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How long a value that is there still lives.
public struct TimeToLive: Sendable, Hashable {
    /// The time until the value is gone, in whole seconds; nil where it lives until it is removed.
    public var remaining: Duration?

    /// - Parameter remaining: nil for a value that lives until it is removed.
    public init(remaining: Duration?) {
        self.remaining = remaining
    }

    /// Of a value that lives until it is removed.
    public static var forever: TimeToLive { TimeToLive(remaining: nil) }
}
