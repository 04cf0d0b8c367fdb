// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Interceptors in the order in which they stand around an RPC, the outermost first; of one name there is one.
struct RPCInterceptorChain: Sendable {
    /// Those that `withRPCInterceptor` has added around the running code.
    @TaskLocal static var scoped = RPCInterceptorChain()

    private(set) var interceptors: [any RPCInterceptor] = []

    init() {}

    init(_ interceptors: [any RPCInterceptor]) {
        for interceptor in interceptors { self.add(interceptor) }
    }

    var isEmpty: Bool { self.interceptors.isEmpty }

    /// Adds one at the inner end; one of the same name leaves its place.
    mutating func add(_ interceptor: any RPCInterceptor) {
        self.interceptors.removeAll { $0.name == interceptor.name }
        self.interceptors.append(interceptor)
    }

    func adding(_ other: RPCInterceptorChain) -> RPCInterceptorChain {
        if other.isEmpty { return self }
        if self.isEmpty { return other }
        var chain = self
        for interceptor in other.interceptors { chain.add(interceptor) }
        return chain
    }
}

/// Runs `operation` with an interceptor around each RPC to a store that it makes, its child tasks included.
///
/// It stands inside those of the client's configuration and of calls of this function further out, except that it takes
/// the place of one of the same name. See ``RPCInterceptor``.
///
/// ```swift
/// try await withRPCInterceptor(Timing()) {
///     try await client.put("key", value: "value")
/// }
/// ```
public func withRPCInterceptor<Result>(
    _ interceptor: any RPCInterceptor, operation: () async throws -> Result
) async rethrows -> Result {
    var chain = RPCInterceptorChain.scoped
    chain.add(interceptor)
    return try await RPCInterceptorChain.$scoped.withValue(chain, operation: operation)
}
