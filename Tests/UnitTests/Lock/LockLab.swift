// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded
import TiKVPD
import TiKVProto

@testable import TiKV

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// An embedded cluster with a client, and the requests of two-phase commit one by one: for transactions that stop wherever
/// a test wants them to.
struct LockLab: Sendable {
    let client: TransactionClient
    let cluster: EmbeddedCluster

    var context: TransactionContext { self.client.context }
    var resolver: LockResolver { self.context.resolver }

    /// Regions are cleaned as a whole from 16 keys on, so that tests need not write more.
    static var configuration: ClientConfiguration {
        var configuration = ClientConfiguration()
        configuration.transaction.regionCleanupKeyCount = 16
        return configuration
    }

    /// - Parameters:
    ///   - splits: where regions meet.
    ///   - storeCount: how many stores there are; each region has a replica on up to three of them.
    static func with(
        splits: [String] = [], storeCount: Int = 1, configuration: ClientConfiguration = Self.configuration,
        _ body: (LockLab) async throws -> Void
    ) async throws {
        let version = EmbeddedCluster.APIVersion.v1
        let keys = splits.map { version.regionKey(forTransactional: Array($0.utf8)) }
        try await EmbeddedCluster.withCluster(.init(storeCount: storeCount, splitKeys: keys)) { cluster in
            try await TransactionClient.withClient(pd: cluster.pdEndpoints, configuration: configuration) { client in
                try await body(LockLab(client: client, cluster: cluster))
            }
        }
    }

    func timestamp() async throws -> UInt64 { try await self.client.currentTimestamp().rawValue }

    var deadline: Deadline { self.context.deadline(.seconds(30)) }

    private func send<Request: RegionRequest, Response: RegionResponse>(
        _ method: RPCMethod<Request, Response>, _ request: Request, _ key: String
    ) async throws -> Response {
        try await self.context.sender.send(
            method, request, key: Array(key.utf8), timeout: .seconds(30), isWrite: false)
    }

    // MARK: - Writing

    /// Writes and commits pairs, all of one transaction.
    @discardableResult
    func write(_ pairs: [String: String?]) async throws -> UInt64 {
        let transaction = try await self.client.begin()
        for (key, value) in pairs {
            if let value {
                try await transaction.put(Key(key), value: Value(value))
            } else {
                try await transaction.delete(Key(key))
            }
        }
        return try #require(try await transaction.commit()).rawValue
    }

    /// Prewrites keys, each by a request of its own, and leaves it at that.
    ///
    /// - Parameters:
    ///   - pairs: a key without a value is deleted.
    ///   - asyncSecondaries: of a transaction that commits asynchronously: the keys beside the primary.
    ///   - size: how many keys the transaction says that it has in the region.
    func prewrite(
        _ pairs: KeyValuePairs<String, String?>, primary: String, start: UInt64, timeToLive: UInt64 = 3_000,
        asyncSecondaries: [String]? = nil, maximumCommit: UInt64 = 0, size: UInt64 = 1
    ) async throws {
        for (key, value) in pairs {
            var request = Kvrpcpb_PrewriteRequest()
            var mutation = Kvrpcpb_Mutation()
            mutation.op = value == nil ? .del : .put
            mutation.key = Data(key.utf8)
            mutation.value = Data((value ?? "").utf8)
            request.mutations = [mutation]
            request.primaryLock = Data(primary.utf8)
            request.startVersion = start
            request.lockTtl = timeToLive
            request.txnSize = size
            request.minCommitTs = start + 1
            if let asyncSecondaries {
                request.useAsyncCommit = true
                request.maxCommitTs = maximumCommit
                if key == primary { request.secondaries = asyncSecondaries.map { Data($0.utf8) } }
            }
            let response = try await self.send(TikvpbTikvRPC.kvPrewrite, request, key)
            #expect(response.errors.isEmpty, "\(response.errors)")
        }
    }

    /// Takes pessimistic locks.
    func lock(_ keys: [String], primary: String, start: UInt64, timeToLive: UInt64 = 3_000) async throws {
        for key in keys {
            var request = Kvrpcpb_PessimisticLockRequest()
            var mutation = Kvrpcpb_Mutation()
            mutation.op = .pessimisticLock
            mutation.key = Data(key.utf8)
            request.mutations = [mutation]
            request.primaryLock = Data(primary.utf8)
            request.startVersion = start
            request.forUpdateTs = start
            request.lockTtl = timeToLive
            let response = try await self.send(TikvpbTikvRPC.kvPessimisticLock, request, key)
            #expect(response.errors.isEmpty, "\(response.errors)")
        }
    }

    /// - Returns: why it could not be; nil where it is committed.
    @discardableResult
    func commit(_ key: String, start: UInt64, at commit: UInt64) async throws -> Kvrpcpb_KeyError? {
        var request = Kvrpcpb_CommitRequest()
        request.keys = [Data(key.utf8)]
        request.startVersion = start
        request.commitVersion = commit
        let response = try await self.send(TikvpbTikvRPC.kvCommit, request, key)
        return response.hasError ? response.error : nil
    }

    /// Ends a transaction by its primary as a status check does that may roll it back.
    func rollBack(_ primary: String, start: UInt64) async throws {
        var request = Kvrpcpb_CheckTxnStatusRequest()
        request.primaryKey = Data(primary.utf8)
        request.lockTs = start
        request.currentTs = .max
        request.rollbackIfNotExist = true
        let response = try await self.send(TikvpbTikvRPC.kvCheckTxnStatus, request, primary)
        #expect(!response.hasError)
    }

    // MARK: - Looking

    /// The lock of a key, as a request that meets it is told.
    func lock(of key: String) async throws -> Lock {
        var request = Kvrpcpb_ScanLockRequest()
        request.startKey = Data(key.utf8)
        request.endKey = Data(key.utf8) + [0]
        request.maxVersion = .max
        let response = try await self.send(TikvpbTikvRPC.kvScanLock, request, key)
        return Lock(try #require(response.locks.first, "\(key) is not locked"))
    }

    var lockedKeys: [String] { self.cluster.lockedKeys.map { String(decoding: $0, as: UTF8.self) } }

    /// Returns when no key is locked any more.
    func waitUntilUnlocked() async throws {
        while !self.cluster.lockedKeys.isEmpty {
            try Task.checkCancellation()
            await Task.yield()
        }
    }

    /// What the client reads of a key at present.
    func value(_ key: String) async throws -> String? {
        try await self.snapshot().get(Key(key)).map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    /// The present state.
    func snapshot(_ options: SnapshotOptions = .init()) async throws -> Snapshot {
        self.client.snapshot(at: try await self.client.currentTimestamp(), options: options)
    }

    /// What a scan gives, as text.
    func text(_ scan: TransactionScan) async throws -> [String] {
        var text: [String] = []
        for try await (key, value) in scan {
            text.append("\(String(decoding: key.bytes, as: UTF8.self))=\(String(decoding: value.bytes, as: UTF8.self))")
        }
        return text
    }
}

extension Lock {
    /// The same with another time to live.
    func living(_ timeToLive: UInt64) -> Lock {
        var info = Kvrpcpb_LockInfo()
        info.key = Data(self.key)
        info.primaryLock = Data(self.primary)
        info.lockVersion = self.start
        info.lockTtl = timeToLive
        info.txnSize = self.transactionSize
        info.lockType = self.isPessimistic ? .pessimisticLock : .put
        info.lockForUpdateTs = self.forUpdate
        info.useAsyncCommit = self.isAsyncCommit
        info.minCommitTs = self.minimumCommit
        info.secondaries = self.secondaries.map { Data($0) }
        return Lock(info)
    }
}
