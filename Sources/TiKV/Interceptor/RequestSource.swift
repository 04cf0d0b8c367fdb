// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a request is made for: TiKV's `request_source`, by which it tells, counts and limits requests.
///
/// ```swift
/// configuration.requestSource = RequestSource("orders")
/// try await withRequestSource(RequestSource("cleanup", isInternal: true)) { … }
/// ```
public struct RequestSource: Sendable, Hashable {
    /// What the application calls the kind of work; empty where it has no name for it.
    public var type: String

    /// A second, more special name, such as one of the task types that TiKV's resource groups know (`br`, `lightning`,
    /// `import`, `ddl`, `stats`, `background`); empty for none.
    public var explicitType: String

    /// Whether it is work of the system itself rather than of its users.
    public var isInternal: Bool

    /// A source; without a type it is `unknown`.
    public init(_ type: String = "", explicitType: String = "", isInternal: Bool = false) {
        self.type = type
        self.explicitType = explicitType
        self.isInternal = isInternal
    }

    /// Set by `withRequestSource` around the running code.
    @TaskLocal static var scoped: RequestSource?

    /// Such as `external_orders` or `internal_stats_background`.
    var label: String {
        // Without a type it is probably not known either whether it is internal.
        if self.type.isEmpty, self.explicitType.isEmpty { return "unknown" }
        var label = (self.isInternal ? "internal_" : "external_") + (self.type.isEmpty ? "unknown" : self.type)
        if !self.explicitType.isEmpty, self.explicitType != self.type { label += "_" + self.explicitType }
        return label
    }

    /// The label as it goes into a request: behind the kind of replica that is asked, and that was asked first.
    ///
    /// TiKV limits by the last part, so that stands at the end.
    ///
    /// - Parameters:
    ///   - replica: such as `leader` or `stale_follower`.
    ///   - first: the kind that was asked first; nil where this is the first try.
    static func label(_ label: String, replica: String, retryOf first: String?) -> String {
        guard let first else { return "\(replica)_\(label)" }
        return "retry_\(first)_\(replica)_\(label)"
    }
}

/// Runs `operation` with another ``RequestSource`` than the client's, its child tasks included.
public func withRequestSource<Result>(
    _ source: RequestSource, operation: () async throws -> Result
) async rethrows -> Result {
    try await RequestSource.$scoped.withValue(source, operation: operation)
}
