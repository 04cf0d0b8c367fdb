// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

extension EmbeddedCluster {
    /// What a store says is wrong with a key, to inject it. See ``Fault/keyError(_:)``.
    public struct KeyErrorKind: Sendable {
        let make: @Sendable (Kvrpcpb_Context) -> MVCCError

        /// A key is locked, be that true or not.
        public static func locked(_ lock: KeyState.Lock, key: [UInt8]) -> Self {
            Self { _ in .keyIsLocked(LockDescription(TxnKey(key), .exclusive(LockRecord(lock)))) }
        }

        /// Somebody else has committed a key since the transaction started.
        ///
        /// - Parameters:
        ///   - startTS: of the transaction that is told so.
        ///   - conflictStartTS: of the other one.
        ///   - conflictCommitTS: when the other one committed; 0 where that is not known.
        public static func writeConflict(
            key: [UInt8], primary: [UInt8] = [], startTS: UInt64, conflictStartTS: UInt64, conflictCommitTS: UInt64 = 0
        ) -> Self {
            Self { _ in
                .writeConflict(
                    startTS: startTS, conflictStartTS: conflictStartTS, conflictCommitTS: conflictCommitTS, key: key,
                    primary: primary, reason: .optimistic)
            }
        }

        /// The key exists and should not.
        public static func alreadyExists(key: [UInt8]) -> Self {
            Self { _ in .alreadyExist(key: key, existingStartTS: 0) }
        }

        /// The lock that was to be committed is not there.
        public static func lockNotFound(key: [UInt8], startTS: UInt64) -> Self {
            Self { _ in .txnLockNotFound(startTS: startTS, commitTS: 0, key: key) }
        }

        /// The store cannot do it, and says why in words.
        public static func abort(_ message: String) -> Self {
            Self { _ in .other(message) }
        }
    }
}
