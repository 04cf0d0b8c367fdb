// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Transactions whose locks do not stop a read. Pure.
///
/// What is true for a read at a timestamp stays true: a transaction that will not be committed before it never will be.
/// Of a read of the latest state that can't be said of the next one.
struct PassedLocks: Sendable, Hashable {
    /// Not committed before the read.
    private(set) var ignored: Set<UInt64> = []
    /// Committed before it, though the locks are still there.
    private(set) var readable: Set<UInt64> = []

    /// - Returns: whether anything was new.
    @discardableResult
    mutating func add(ignored: some Sequence<UInt64>, readable: some Sequence<UInt64> = []) -> Bool {
        let before = self.ignored.count + self.readable.count
        self.ignored.formUnion(ignored)
        self.readable.formUnion(readable)
        return self.ignored.count + self.readable.count > before
    }

    @discardableResult
    mutating func add(_ other: PassedLocks) -> Bool {
        self.add(ignored: other.ignored, readable: other.readable)
    }
}
