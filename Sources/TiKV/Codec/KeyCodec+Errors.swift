// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

// MARK: - Region errors

extension KeyCodec {
    func decode(_ error: Errorpb_Error) throws(KeyCodecError) -> Errorpb_Error {
        var decoded = error
        if error.hasKeyNotInRegion {
            decoded.keyNotInRegion.key = try self.decode(error.keyNotInRegion.key)
            (decoded.keyNotInRegion.startKey, decoded.keyNotInRegion.endKey) = try self.decodeRegionRange(
                start: error.keyNotInRegion.startKey, end: error.keyNotInRegion.endKey)
        }
        if error.hasEpochNotMatch {
            decoded.epochNotMatch.currentRegions = try self.decodeInside(error.epochNotMatch.currentRegions)
        }
        if error.hasBucketVersionNotMatch {
            decoded.bucketVersionNotMatch.keys = try self.decodeBucketKeys(
                error.bucketVersionNotMatch.keys.map { [UInt8]($0) }
            ).map { Data($0) }
        }
        return decoded
    }

    /// Regions cut to the keyspace; those outside are left out.
    func decodeInside(_ regions: [Metapb_Region]) throws(KeyCodecError) -> [Metapb_Region] {
        var decoded: [Metapb_Region] = []
        for region in regions {
            do throws(KeyCodecError) {
                decoded.append(try self.decode(region))
            } catch .outsideOfKeyspace {
                continue
            }
        }
        return decoded
    }

    func decode(_ region: Metapb_Region) throws(KeyCodecError) -> Metapb_Region {
        var decoded = region
        (decoded.startKey, decoded.endKey) = try self.decodeRegionRange(start: region.startKey, end: region.endKey)
        return decoded
    }

    private func decodeRegionRange(start: Data, end: Data) throws(KeyCodecError) -> (start: Data, end: Data) {
        guard self.encodesRegionKeys else { return (start, end) }
        let span = try self.decodeRegionRange(KeySpan(start: [UInt8](start), end: [UInt8](end)))
        return (Data(span.start), Data(span.end))
    }
}

// MARK: - Errors about keys

extension KeyCodec {
    func decode(_ errors: [Kvrpcpb_KeyError]) throws(KeyCodecError) -> [Kvrpcpb_KeyError] {
        guard self.changesKeys else { return errors }
        return try self.map(errors) { error throws(KeyCodecError) in try self.decode(error) }
    }

    func decode(_ error: Kvrpcpb_KeyError) throws(KeyCodecError) -> Kvrpcpb_KeyError {
        guard self.changesKeys else { return error }
        var decoded = error
        if error.hasLocked { decoded.locked = try self.decode(error.locked) }
        if error.hasConflict {
            decoded.conflict.key = try self.decode(error.conflict.key)
            decoded.conflict.primary = try self.decode(error.conflict.primary)
        }
        if error.hasAlreadyExist { decoded.alreadyExist.key = try self.decode(error.alreadyExist.key) }
        if error.hasDeadlock { decoded.deadlock = try self.decode(error.deadlock) }
        if error.hasCommitTsExpired { decoded.commitTsExpired.key = try self.decode(error.commitTsExpired.key) }
        if error.hasTxnNotFound { decoded.txnNotFound.primaryKey = try self.decode(error.txnNotFound.primaryKey) }
        if error.hasAssertionFailed { decoded.assertionFailed.key = try self.decode(error.assertionFailed.key) }
        if error.hasPrimaryMismatch {
            decoded.primaryMismatch.lockInfo = try self.decode(error.primaryMismatch.lockInfo)
        }
        if error.hasTxnLockNotFound { decoded.txnLockNotFound.key = try self.decode(error.txnLockNotFound.key) }
        if error.hasLockUpgradeConflict {
            decoded.lockUpgradeConflict.key = try self.decode(error.lockUpgradeConflict.key)
        }
        if error.hasSharedLockLost { decoded.sharedLockLost.key = try self.decode(error.sharedLockLost.key) }
        if error.hasDebugInfo {
            decoded.debugInfo.mvccInfo = try self.map(error.debugInfo.mvccInfo) { info throws(KeyCodecError) in
                var decoded = info
                decoded.key = try self.decode(info.key)
                if info.hasMvcc { decoded.mvcc = try self.decode(info.mvcc) }
                return decoded
            }
        }
        return decoded
    }

    func decode(_ locks: [Kvrpcpb_LockInfo]) throws(KeyCodecError) -> [Kvrpcpb_LockInfo] {
        guard self.changesKeys else { return locks }
        return try self.map(locks) { lock throws(KeyCodecError) in try self.decode(lock) }
    }

    func decode(_ lock: Kvrpcpb_LockInfo) throws(KeyCodecError) -> Kvrpcpb_LockInfo {
        guard self.changesKeys else { return lock }
        var decoded = lock
        decoded.key = try self.decode(lock.key)
        decoded.primaryLock = try self.decode(lock.primaryLock)
        decoded.secondaries = try self.decode(lock.secondaries)
        decoded.sharedLockInfos = try self.decode(lock.sharedLockInfos)
        return decoded
    }

    func decode(_ info: Kvrpcpb_MvccInfo) throws(KeyCodecError) -> Kvrpcpb_MvccInfo {
        guard self.changesKeys, info.hasLock else { return info }
        var decoded = info
        decoded.lock.primary = try self.decode(info.lock.primary)
        decoded.lock.secondaries = try self.decode(info.lock.secondaries)
        return decoded
    }

    func decode(_ entries: [Deadlock_WaitForEntry]) throws(KeyCodecError) -> [Deadlock_WaitForEntry] {
        guard self.changesKeys else { return entries }
        return try self.map(entries) { entry throws(KeyCodecError) in
            var decoded = entry
            decoded.key = try self.decode(entry.key)
            return decoded
        }
    }

    private func decode(_ deadlock: Kvrpcpb_Deadlock) throws(KeyCodecError) -> Kvrpcpb_Deadlock {
        var decoded = deadlock
        decoded.lockKey = try self.decode(deadlock.lockKey)
        decoded.deadlockKey = try self.decode(deadlock.deadlockKey)
        decoded.waitChain = try self.decode(deadlock.waitChain)
        return decoded
    }
}
