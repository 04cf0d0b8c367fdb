// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a compare-and-swap came to.
public struct RawSwap: Sendable, Hashable {
    /// Whether the key had the expected value, and so has the new one now.
    public var isSwapped: Bool
    /// What the key had before; nil where it had no value.
    public var previous: Value?

    /// An outcome.
    public init(isSwapped: Bool, previous: Value?) {
        self.isSwapped = isSwapped
        self.previous = previous
    }
}
