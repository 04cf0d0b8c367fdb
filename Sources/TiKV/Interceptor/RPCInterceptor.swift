// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Stands around every RPC that this client sends to a store: to measure, to log, to hold back, to refuse.
///
/// ```swift
/// struct Timing: RPCInterceptor {
///     let name = "timing"
///
///     func intercept<Response: Sendable>(
///         _ rpc: InterceptedRPC, next: RPCInterceptorNext<Response>
///     ) async throws -> Response {
///         let start = ContinuousClock.now
///         defer { print(rpc.method, rpc.address, ContinuousClock.now - start) }
///         return try await next(rpc)
///     }
/// }
/// ```
///
/// Install it for a whole client by ``ClientConfiguration/interceptors``, or for some calls by
/// ``withRPCInterceptor(_:operation:)``. Several nest in the order in which they were added: the first begins first and
/// ends last. Of those of one name only the last added is kept, at its place at the end.
///
/// One call of this client may be several RPCs, one for each region and each try, and an interceptor sees each of them,
/// whether it goes through a `BatchCommands` stream or by itself. It does not see questions to PD.
public protocol RPCInterceptor: Sendable {
    /// Tells this interceptor from others: a second one of the same name takes the first one's place.
    var name: String { get }

    /// Called in place of an RPC; `next` sends it.
    ///
    /// It runs in the task of the call. What `next` throws is ``RPCFailure``, the client's own business: it tries again,
    /// elsewhere if need be, so it should be thrown on. Any other error ends the whole call at once: a ``TiKVError`` as it
    /// is, `CancellationError` as ``TiKVError/Code/cancelled``, everything else as the cause of a
    /// ``TiKVError/Code/interceptorFailed``. A write that had been sent by then is reported with its outcome unknown.
    ///
    /// - Parameters:
    ///   - rpc: what is to be sent, and where.
    ///   - next: the next interceptor, or the RPC itself. It gets what it is given, which may differ from `rpc` in what
    ///     can be changed there.
    /// - Returns: what `next` returned.
    func intercept<Response: Sendable>(
        _ rpc: InterceptedRPC, next: RPCInterceptorNext<Response>
    ) async throws -> Response
}

/// An RPC to a store, as an interceptor sees it.
public struct InterceptedRPC: Sendable {
    /// The RPC's name, such as `RawGet` or `KvPrewrite`.
    public let method: String
    /// The store's address as `host:port`.
    public let address: String
    /// The store.
    public let storeID: UInt64
    /// The region that the request is for.
    public let regionID: UInt64
    /// 1 for the first RPC of a call, or of the part of it that one region holds; 2 for the next try, wherever that goes.
    public let attempt: Int
    /// Whether the call changes anything.
    public let isWrite: Bool
    /// How urgent it is to the store.
    public let priority: RequestPriority
    /// The time that the RPC may take. It can be made shorter, not longer.
    public var timeout: Duration
    /// TiKV's `request_source` label.
    public var requestSource: String
    /// Headers for this RPC; empty unless an interceptor adds some. An RPC with headers goes as a call of its own, since
    /// the messages of a `BatchCommands` stream have no place for them.
    public var metadata: [String: String]
}

/// The rest of an RPC's way: the interceptors after this one, and the RPC itself.
public struct RPCInterceptorNext<Response: Sendable> {
    let rest: ArraySlice<any RPCInterceptor>
    let send: (InterceptedRPC) async throws -> Response

    /// Goes on with the RPC and returns its answer.
    ///
    /// - Throws: ``RPCFailure`` where there was no answer; what a later interceptor throws.
    public func callAsFunction(_ rpc: InterceptedRPC) async throws -> Response {
        guard let first = self.rest.first else { return try await self.send(rpc) }
        return try await first.intercept(
            rpc, next: RPCInterceptorNext(rest: self.rest.dropFirst(), send: self.send))
    }
}
