// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

public import Logging
import NIOCore
public import ServiceLifecycle
import TiKVPD
import TiKVProto
import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Reads and writes single keys of TiKV, without transactions: fast, and each key for itself.
///
/// ```swift
/// try await RawClient.withClient(pd: ["127.0.0.1:2379"]) { client in
///     try await client.put("greeting", value: "hello")
///     let value = try await client.get("greeting")
///     for try await (key, value) in client.scan(.prefix("user/")) { … }
/// }
/// ```
///
/// ## Life
/// A client does nothing until ``run()`` is awaited in a task of its own, which ``withClient(pd:configuration:logger:_:)``
/// does for you; calls made before wait for it. Cancelling that task closes the client.
///
/// ## Time, retries, cancellation
/// Every call has one deadline over all it does, from its `timeout` argument or
/// ``ClientConfiguration/requestTimeout``. Within it, calls are sent again as regions split, merge and move and as stores
/// come and go. When it is over, the call throws a ``TiKVError`` that says what kept it from succeeding. Cancelling the task
/// ends a call at once with ``TiKVError/Code/cancelled`` and leaves the connections as they are.
///
/// Writes may be sent more than once: doing the same again changes nothing. Where a write was sent and no answer
/// ever came, its error has ``TiKVError/isOutcomeUnknown``.
public final class RawClient: Sendable {
    let core: ClientCore
    var configuration: ClientConfiguration.Raw { self.core.configuration.raw }

    /// Makes a client, which connects to nothing until ``run()`` is awaited.
    ///
    /// - Parameters:
    ///   - pd: addresses of members of PD, as `host:port` or `http://host:port`; one that answers is enough. The port is
    ///     2379 where none is named. Whether TLS is spoken is ``ClientConfiguration/Connection/tls``'s to say, `https://`
    ///     or not.
    ///   - configuration: how the client behaves.
    ///   - logger: logs at `debug` and `trace`; nothing by default.
    /// - Throws: ``TiKVError/Code/invalidArgument`` where there is no address, or one that is none, or where the TLS
    ///   configuration cannot work, such as a file that can't be read.
    public init(
        pd: [String], configuration: ClientConfiguration = .init(), logger: Logger = .tikvSilent
    ) throws(TiKVError) {
        self.core = try ClientCore(
            .raw, pd: try ClientCore.addresses(pd), configuration: configuration, logger: logger)
    }

    /// Runs a client for as long as `body` takes, and closes it.
    ///
    /// - Parameters:
    ///   - pd: addresses of members of PD, as `host:port`; one that answers is enough.
    ///   - configuration: how the client behaves.
    ///   - logger: logs at `debug` and `trace`; nothing by default.
    ///   - body: what to do with the client, which must not be used after it.
    /// - Returns: what `body` returns.
    /// - Throws: what `body` throws, and ``TiKVError/Code/invalidArgument`` as the initializer does.
    ///   PD is not contacted before the first call.
    public static func withClient<Result>(
        pd: [String], configuration: ClientConfiguration = .init(), logger: Logger = .tikvSilent,
        _ body: (RawClient) async throws -> sending Result
    ) async throws -> sending Result {
        let client = try RawClient(pd: pd, configuration: configuration, logger: logger)
        // Cancelled and waited for when this scope is left, by whichever way.
        async let _ = client.run()
        return try await body(client)
    }

    // MARK: - Single keys

    /// The value of a key.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - columnFamily: where to look; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Returns: nil where the key has no value. A value of no bytes is a value.
    /// - Throws: ``TiKVError``.
    public func get(
        _ key: Key, columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) async throws(TiKVError) -> Value? {
        try self.validate(key)
        var request = Kvrpcpb_RawGetRequest()
        request.key = Data(key.bytes)
        request.cf = try self.wireName(columnFamily)
        let response = try await self.core.sender.send(
            TikvpbTikvRPC.rawGet, request, key: key.bytes, timeout: self.timeout(timeout), isWrite: false)
        try Self.check(response)
        return response.notFound ? nil : Value(response.value)
    }

    /// Sets the value of a key.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - value: may have no bytes.
    ///   - ttl: after how long the value is gone, in whole seconds, of which a part counts as one; nil, the default, is
    ///     never. Replaces what the key had before. Needs an ``APIVersion`` with it.
    ///   - columnFamily: where to write; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Throws: ``TiKVError``; see its ``TiKVError/isOutcomeUnknown``.
    public func put(
        _ key: Key, value: Value, ttl: Duration? = nil, columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) async throws(TiKVError) {
        try self.validate(key)
        var request = Kvrpcpb_RawPutRequest()
        request.key = Data(key.bytes)
        request.value = Data(value.bytes)
        request.ttl = try self.seconds(ttl)
        request.forCas = self.configuration.isAtomic
        request.cf = try self.wireName(columnFamily)
        let response = try await self.core.sender.send(
            TikvpbTikvRPC.rawPut, request, key: key.bytes, timeout: self.timeout(timeout), isWrite: true)
        try Self.check(response)
    }

    /// Removes a key; where it has no value, nothing happens.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - columnFamily: where to write; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Throws: ``TiKVError``; see its ``TiKVError/isOutcomeUnknown``.
    public func delete(
        _ key: Key, columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) async throws(TiKVError) {
        try self.validate(key)
        var request = Kvrpcpb_RawDeleteRequest()
        request.key = Data(key.bytes)
        request.forCas = self.configuration.isAtomic
        request.cf = try self.wireName(columnFamily)
        let response = try await self.core.sender.send(
            TikvpbTikvRPC.rawDelete, request, key: key.bytes, timeout: self.timeout(timeout), isWrite: true)
        try Self.check(response)
    }
}

// MARK: - Life

extension RawClient: Service {
    /// Keeps the client going until the task is cancelled, or its service group shuts down gracefully; then closes it.
    ///
    /// Cancelled, it breaks off calls that are under way. Shut down gracefully, it takes no new calls and gives those under
    /// way, with all that they still send and wait for, ``ClientConfiguration/shutdownTimeout``; of a scan, a page is a
    /// call. A closed client can't run again.
    ///
    /// - Throws: ``TiKVError/Code/clientAlreadyRunning`` or ``TiKVError/Code/clientClosed``.
    public func run() async throws {
        try await self.core.run()
    }
}

extension Logger {
    /// A logger that logs nothing: what clients use unless they are given another.
    public static var tikvSilent: Logger {
        Logger(label: "tikv", factory: { _ in SwiftLogNoOpLogHandler() })
    }
}
