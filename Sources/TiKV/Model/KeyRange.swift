// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// The keys from ``start`` up to, not including, ``end``.
///
/// ```swift
/// "user/"..<"user0"              // from the first key up to, not including, the second
/// "a"..."c"                      // both included
/// "m"...                         // from this key on
/// ..<"m"                         // all before this key
/// KeyRange.prefix("user/")       // all that begin so
/// KeyRange.everything
/// ```
///
/// The operators make a `KeyRange` of any two keys, also of two in the wrong order (where Swift's own ranges would trap);
/// what takes such a range says so with an error, ``TiKVError/Code/invalidArgument``.
public struct KeyRange: Sendable, Hashable {
    /// The first key of the range; the empty key stands for the beginning of all keys.
    public var start: Key

    /// The key after the last of the range; the empty key stands for the end of all keys.
    public var end: Key

    /// - Parameters:
    ///   - start: the first key; empty for the beginning of all keys.
    ///   - end: the key after the last; empty for the end of all keys.
    public init(start: Key = Key(), end: Key = Key()) {
        self.start = start
        self.end = end
    }

    /// All keys.
    public static var everything: KeyRange { KeyRange() }

    /// All keys that begin with `prefix`; all keys at all where it is empty.
    public static func prefix(_ prefix: Key) -> KeyRange {
        // The least key that is greater than all that begin so: the last byte that can be raised is. A prefix of
        // nothing but 0xff has none, and its range goes on to the end.
        var end = prefix.bytes
        while end.last == 0xff { end.removeLast() }
        if let last = end.popLast() { end.append(last + 1) }
        return KeyRange(start: prefix, end: Key(end))
    }

    /// Whether no key lies in the range.
    public var isEmpty: Bool { !self.end.isEmpty && self.end <= self.start }

    /// Whether the end lies before the start, which is taken for a mistake.
    public var isReversed: Bool { !self.end.isEmpty && self.end < self.start }

    /// Whether the key lies in the range.
    public func contains(_ key: Key) -> Bool {
        key >= self.start && (self.end.isEmpty || key < self.end)
    }
}

extension KeyRange {
    /// The same keys.
    public init(_ range: Range<Key>) {
        self.init(start: range.lowerBound, end: range.upperBound)
    }

    /// The same keys, the last one included.
    public init(_ range: ClosedRange<Key>) {
        self.init(start: range.lowerBound, end: range.upperBound.next)
    }

    /// The keys from this one on.
    public init(_ range: PartialRangeFrom<Key>) {
        self.init(start: range.lowerBound)
    }

    /// The keys before this one.
    public init(_ range: PartialRangeUpTo<Key>) {
        self.init(end: range.upperBound)
    }

    /// The keys up to and including this one.
    public init(_ range: PartialRangeThrough<Key>) {
        self.init(end: range.upperBound.next)
    }
}

extension KeyRange: CustomStringConvertible, CustomDebugStringConvertible {
    /// The lengths of the bounds only, since keys are user data.
    public var description: String { "\(self.start)..<\(self.end.isEmpty ? "end" : "\(self.end)")" }

    /// The bounds: printable ASCII as it is, the rest as `\xNN`.
    public var debugDescription: String {
        "\(self.start.debugDescription)..<\(self.end.isEmpty ? "end" : self.end.debugDescription)"
    }
}

// MARK: - Operators

extension Key {
    /// The keys from the first up to, not including, the second; an empty second key stands for the end of all keys.
    public static func ..< (start: Key, end: Key) -> KeyRange { KeyRange(start: start, end: end) }

    /// The keys from the first to the second, both included.
    public static func ... (start: Key, last: Key) -> KeyRange { KeyRange(start: start, end: last.next) }

    /// The keys from this one on.
    public static postfix func ... (start: Key) -> KeyRange { KeyRange(start: start) }

    /// The keys before this one; an empty key stands for the end of all keys.
    public static prefix func ..< (end: Key) -> KeyRange { KeyRange(end: end) }

    /// The keys up to and including this one.
    public static prefix func ... (last: Key) -> KeyRange { KeyRange(end: last.next) }
}
