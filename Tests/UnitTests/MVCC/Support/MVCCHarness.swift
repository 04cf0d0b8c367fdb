// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@testable import TiKVEmbedded

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The engine with short names for its commands, and what tests want to know of it.
struct MVCCHarness {
    var engine = MVCCEngine()

    static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    static func key(_ text: String) -> TxnKey { TxnKey(Array(text.utf8)) }

    // MARK: - Writing

    @discardableResult
    mutating func prewrite(
        _ key: String, _ value: String?, primary: String? = nil, at startTS: UInt64, forUpdateTS: UInt64 = 0,
        action: Mutation.PessimisticAction = .skip, kind: Mutation.Kind? = nil, ttl: UInt64 = 0,
        minCommitTS: UInt64 = 0, assertion: Mutation.Assertion = .none, level: AssertionLevel = .off,
        isRetry: Bool = false, change: (inout PrewriteCommand) -> Void = { _ in }
    ) throws -> PrewriteCommand.Result {
        let mutation = Mutation(
            kind: kind ?? (value == nil ? .delete : .put), key: Self.key(key), value: Data((value ?? "").utf8),
            assertion: assertion, pessimisticAction: action)
        var command = PrewriteCommand(
            mutations: [mutation], primary: Self.bytes(primary ?? key), startTS: startTS, lockTTL: ttl,
            forUpdateTS: forUpdateTS, minCommitTS: minCommitTS, assertionLevel: level, isRetry: isRetry)
        change(&command)
        let result = try self.engine.prewrite(command).value
        // A lock in the way is not an error of the command, but one of most tests.
        if let lock = result.locks.first { throw lock }
        return result
    }

    mutating func commit(_ keys: String..., start: UInt64, at commitTS: UInt64) throws {
        _ = try self.engine.commit(keys.map { Self.key($0) }, startTS: start, commitTS: commitTS)
    }

    /// A whole transaction of one key.
    mutating func put(_ key: String, _ value: String?, start: UInt64, commit: UInt64) throws {
        try self.prewrite(key, value, at: start)
        try self.commit(key, start: start, at: commit)
    }

    mutating func rollBack(_ keys: String..., start: UInt64) throws {
        _ = try self.engine.rollBack(keys.map { Self.key($0) }, startTS: start)
    }

    mutating func cleanUp(_ key: String, start: UInt64, current: UInt64 = 0) throws {
        _ = try self.engine.cleanUp(Self.key(key), startTS: start, currentTS: current)
    }

    @discardableResult
    mutating func lock(
        _ key: String, primary: String? = nil, start: UInt64, forUpdateTS: UInt64, mustNotExist: Bool = false,
        isShared: Bool = false, change: (inout PessimisticLockParameters) -> Void = { _ in }
    ) throws -> PessimisticLockKeyResult {
        var parameters = PessimisticLockParameters(
            primary: Self.bytes(primary ?? key), startTS: start, lockTTL: 3000, forUpdateTS: forUpdateTS)
        change(&parameters)
        let command = PessimisticLockCommand(
            items: [.init(key: Self.key(key), mustNotExist: mustNotExist, isShared: isShared)], parameters: parameters)
        switch try self.engine.lockPessimistically(command).value {
        case .locked(let results): return try #require(results.first)
        case .blocked(_, let lock), .refused(let lock): throw MVCCError.keyIsLocked(lock)
        }
    }

    mutating func unlock(_ key: String, start: UInt64, forUpdateTS: UInt64) throws {
        _ = try self.engine.rollBackPessimistically([Self.key(key)], startTS: start, forUpdateTS: forUpdateTS)
    }

    mutating func status(
        _ primary: String, _ lockTS: UInt64, caller: UInt64 = 0, current: UInt64 = 0, rollsBack: Bool = false,
        change: (inout TxnStatusCheck) -> Void = { _ in }
    ) throws -> TxnStatus {
        var check = TxnStatusCheck(
            primary: Self.key(primary), lockTS: lockTS, callerStartTS: caller, currentTS: current,
            rollsBackIfMissing: rollsBack)
        change(&check)
        return try self.engine.checkStatus(check).value
    }

    // MARK: - Reading

    func read(at timestamp: UInt64) -> SnapshotRead {
        SnapshotRead(store: self.engine.store, timestamp: timestamp)
    }

    func get(_ key: String, at timestamp: UInt64) throws -> String? {
        try self.read(at: timestamp).get(Self.key(key)).map { String(decoding: $0.value, as: UTF8.self) }
    }

    func lockRecord(_ key: String) -> LockRecord? {
        self.engine.store.locks[Self.key(key).encoded]?.records.first
    }

    func versions(_ key: String) -> [(commitTS: UInt64, write: WriteRecord)] {
        self.engine.store.versions(Self.key(key))
    }

    /// The kinds of the records of a key, newest first, such as `put@10`.
    func history(_ key: String) -> [String] {
        self.versions(key).map { "\($0.write.kind)@\($0.commitTS)" }
    }

    func error<Result>(_ body: () throws -> Result) -> MVCCError? {
        do {
            _ = try body()
            return nil
        } catch {
            return error as? MVCCError
        }
    }
}

/// The error that a body throws, by the name of its case.
func caseName<Result>(_ body: () throws -> Result) -> String {
    do {
        _ = try body()
        return "none"
    } catch {
        return String("\(error)".prefix { $0 != "(" })
    }
}

func conflictReason<Result>(_ body: () throws -> Result) -> MVCCError.ConflictReason? {
    do {
        _ = try body()
        return nil
    } catch {
        if case .writeConflict(_, _, _, _, _, let reason)? = error as? MVCCError { return reason }
        return nil
    }
}
