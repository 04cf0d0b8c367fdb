// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@testable import TiKVEmbedded

/// The storage with its clock, and requests for locks by name.
struct TxnStorageHarness {
    var storage = TxnStorage()
    var cluster = ClusterState(storeCount: 1, replicaCount: 1, splitKeys: [])
    var now: UInt64 = 1000

    private var origin: RequestOrigin {
        let region = self.cluster.regions[0]
        return RequestOrigin(
            storeID: 1,
            target: RequestTarget(
                regionID: region.id, peerID: region.peers[0].id, storeID: 1, epoch: region.epoch))
    }

    /// Asks for a lock.
    ///
    /// - Parameter force: whether to take it in spite of conflicts.
    mutating func ask(
        _ keys: String..., start: UInt64, forUpdateTS: UInt64? = nil, force: Bool = false, isFirst: Bool = false,
        isShared: Bool = false, timeout: Int64 = 500
    ) -> TxnStorage.LockAnswer {
        let command = PessimisticLockCommand(
            items: keys.map { .init(key: MVCCHarness.key($0), isShared: isShared) },
            parameters: PessimisticLockParameters(
                primary: MVCCHarness.bytes("p"), startTS: start, lockTTL: 3000, forUpdateTS: forUpdateTS ?? start,
                allowsConflict: force, isFirstLock: isFirst))
        return self.storage.lock(command, waitTimeout: timeout, from: self.origin, now: self.now)
    }

    /// The same where the lock is to be had at once.
    mutating func lock(_ keys: String..., start: UInt64, isShared: Bool = false) {
        for key in keys {
            guard case .finished(let result) = self.ask(key, start: start, isShared: isShared), result.failure == nil
            else {
                Issue.record("\(key) could not be locked for \(start)")
                return
            }
        }
    }

    /// The same where somebody else has it.
    mutating func wait(
        _ key: String, start: UInt64, force: Bool = false, isShared: Bool = false, timeout: Int64 = 500
    ) throws -> LockWaitToken {
        guard
            case .waiting(let token) = self.ask(
                key, start: start, force: force, isShared: isShared, timeout: timeout)
        else { throw NotWaiting() }
        return token
    }

    struct NotWaiting: Error {}

    mutating func unlock(_ key: String, start: UInt64) throws {
        try self.storage.run(now: self.now, regions: self.cluster) { engine throws(MVCCError) in
            try engine.rollBackPessimistically([MVCCHarness.key(key)], startTS: start, forUpdateTS: .max)
        }
    }

    /// Writes a locked key and commits it.
    mutating func commit(_ key: String, start: UInt64, at commitTS: UInt64) throws {
        let command = PrewriteCommand(
            mutations: [Mutation(kind: .put, key: MVCCHarness.key(key), pessimisticAction: .check)],
            primary: MVCCHarness.bytes("p"), startTS: start, forUpdateTS: start)
        _ = try self.storage.run(now: self.now, regions: self.cluster) { engine throws(MVCCError) in
            try engine.prewrite(command)
        }
        try self.storage.run(now: self.now, regions: self.cluster) { engine throws(MVCCError) in
            try engine.commit([MVCCHarness.key(key)], startTS: start, commitTS: commitTS)
        }
    }

    mutating func advance(by milliseconds: UInt64) {
        self.now += milliseconds
        self.storage.expire(now: self.now, regions: self.cluster)
    }

    /// Who has come to an end since the last call, with the name of the error or `locked`.
    mutating func ended() -> [LockWaitToken: String] {
        Dictionary(
            uniqueKeysWithValues: self.storage.takeFinishedWaits().map { token, result in
                switch result.failure {
                case .key(let error): (token, String("\(error)".prefix { $0 != "(" }))
                case .region(let error): (token, "region " + String("\(error)".prefix { $0 != "(" }))
                case nil: (token, "locked")
                }
            })
    }

    func holder(_ key: String) -> [UInt64] {
        self.storage.engine.store.locks[MVCCHarness.key(key).encoded]?.records.map(\.startTS) ?? []
    }
}
