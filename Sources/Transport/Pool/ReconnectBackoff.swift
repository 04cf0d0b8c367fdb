// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How long to leave an address alone after connects to it failed: 100 ms at first, 1.6 times as long after each
/// further failure, 3 s at most, each time a fifth more or less by chance.
struct ReconnectBackoff: Sendable {
    private static let base = 0.1
    private static let factor = 1.6
    private static let longest = 3.0
    private static let jitter = 0.2

    private var failures = 0

    /// - Parameter chance: between 0 and 1.
    mutating func failed(chance: Double) -> Duration {
        var seconds = Self.base
        for _ in 0..<min(self.failures, 16) { seconds = min(seconds * Self.factor, Self.longest) }
        self.failures += 1
        return .milliseconds(Int((seconds * (1 + Self.jitter * (2 * chance - 1)) * 1_000).rounded()))
    }

    mutating func succeeded() {
        self.failures = 0
    }
}
