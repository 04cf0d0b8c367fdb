// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// How urgent requests are: on their way to a store, and among the reads and writes that wait there.
///
/// ```swift
/// try await withRequestPriority(.low) {
///     try await client.deleteRange(outdated)
/// }
/// ```
public struct RequestPriority: Sendable, Hashable, CustomStringConvertible {
    /// The priority's name, such as `high`.
    public let description: String
    /// Order among commands that wait for a batch stream.
    let transport: UInt64
    let command: Kvrpcpb_CommandPri

    /// Gives way to others.
    public static let low = RequestPriority(description: "low", transport: 0, command: .low)
    /// What requests have unless something else is said.
    public static let normal = RequestPriority(description: "normal", transport: 5, command: .normal)
    /// Before others, and not held back by ``ClientConfiguration/Connection/maximumInFlight``.
    public static let high = RequestPriority(
        description: "high", transport: 16, command: .high)

    /// What a store is told.
    init(_ command: Kvrpcpb_CommandPri) {
        switch command {
        case .low: self = .low
        case .high: self = .high
        case .normal, .UNRECOGNIZED: self = .normal
        }
    }

    private init(description: String, transport: UInt64, command: Kvrpcpb_CommandPri) {
        self.description = description
        self.transport = transport
        self.command = command
    }

    /// Set by `withRequestPriority` around the running code.
    @TaskLocal static var scoped = RequestPriority.normal
}

/// Runs `operation` with another ``RequestPriority`` than the normal one, its child tasks included.
public func withRequestPriority<Result>(
    _ priority: RequestPriority, operation: () async throws -> Result
) async rethrows -> Result {
    try await RequestPriority.$scoped.withValue(priority, operation: operation)
}
