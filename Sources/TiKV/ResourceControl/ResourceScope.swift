// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Runs `operation` for a resource group, its child tasks included: stores and this client count what it costs for that
/// group, and hold it back where the group has used up its share.
///
/// ```swift
/// try await withResourceGroup("reports") {
///     for try await pair in client.scan(.everything) { … }
/// }
/// ```
///
/// Stores are told the group of every request in any case; this client waits for tokens of PD only where
/// ``ClientConfiguration/ResourceControl/isEnabled`` says so.
///
/// - Parameter name: a group that PD knows; empty stands for none.
public func withResourceGroup<Result>(
    _ name: String, operation: () async throws -> Result
) async rethrows -> Result {
    var scope = ResourceScope.scoped ?? ResourceScope()
    scope.group = name
    return try await ResourceScope.$scoped.withValue(scope, operation: operation)
}

/// Runs `operation` with a function that gives each request a tag, its child tasks included. Stores sum up by tags what
/// requests cost. A request whose transaction or snapshot has a tag of its own keeps that.
///
/// - Parameter tagger: is given what is about to be sent; runs on the way of every request, so it should be quick. Empty
///   is no tag.
public func withResourceGroupTagger<Result>(
    _ tagger: @escaping @Sendable (TaggedRequest) -> [UInt8], operation: () async throws -> Result
) async rethrows -> Result {
    var scope = ResourceScope.scoped ?? ResourceScope()
    scope.tagger = tagger
    return try await ResourceScope.$scoped.withValue(scope, operation: operation)
}

/// A request that is about to be sent, for whoever gives it a tag.
public struct TaggedRequest: Sendable, Hashable {
    /// The RPC's name, such as `KvGet`.
    public let method: String
    /// The region that it goes to.
    public let regionID: UInt64
    /// Whether it changes anything.
    public let isWrite: Bool
}

/// What is said about resources around the running code.
struct ResourceScope: Sendable {
    /// Nil where nothing is said.
    @TaskLocal static var scoped: ResourceScope?

    var group: String?
    var tagger: (@Sendable (TaggedRequest) -> [UInt8])?
    /// Who wants to know what is used.
    var recorder: ResourceUsageRecorder?
}
