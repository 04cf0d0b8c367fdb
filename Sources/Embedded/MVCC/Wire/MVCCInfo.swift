// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVOrderedMap
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension MVCCStore {
    /// All that there is of a key, newest first (tikv `src/storage/txn/actions/mvcc.rs`).
    func info(_ key: TxnKey) -> Kvrpcpb_MvccInfo {
        var info = Kvrpcpb_MvccInfo()
        if let lock = self.locks[key.encoded]?.records.first {
            info.lock = .with {
                $0.type = lock.kind.proto
                $0.startTs = lock.startTS
                $0.primary = Data(lock.primary)
                $0.shortValue = lock.shortValue ?? Data()
            }
        }
        for (version, write) in self.versions(key) {
            info.writes.append(
                .with {
                    $0.type = write.kind.proto
                    $0.startTs = write.startTS
                    $0.commitTs = version
                    // TiKV marks protected rollbacks by a value.
                    $0.shortValue = write.isProtected ? Data("p".utf8) : write.shortValue ?? Data()
                    $0.hasOverlappedRollback_p = write.hasOverlappedRollback
                    if let fence = write.gcFence {
                        $0.hasGcFence_p = true
                        $0.gcFence = fence
                    }
                })
        }
        for (version, value) in self.values.ascending(from: VersionKey.encode(key.encoded, .max)) {
            guard VersionKey.isVersion(version, of: key.encoded) else { break }
            info.values.append(
                .with {
                    $0.startTs = VersionKey.timestamp(version)
                    $0.value = value
                })
        }
        return info
    }
}

extension WriteRecord.Kind {
    fileprivate var proto: Kvrpcpb_Op {
        switch self {
        case .put: .put
        case .delete: .del
        case .lock: .lock
        case .rollback: .rollback
        }
    }
}
