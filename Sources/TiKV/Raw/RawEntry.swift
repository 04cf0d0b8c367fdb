// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A key, its value, and how long that lives.
public struct RawEntry: Sendable, Hashable {
    /// Not empty.
    public var key: Key
    /// May have no bytes.
    public var value: Value
    /// After how long the value is gone, in whole seconds, of which a part counts as one; nil is never.
    public var ttl: Duration?

    /// A pair that lives as long as it says, or until it is removed.
    public init(_ key: Key, value: Value, ttl: Duration? = nil) {
        self.key = key
        self.value = value
        self.ttl = ttl
    }
}
