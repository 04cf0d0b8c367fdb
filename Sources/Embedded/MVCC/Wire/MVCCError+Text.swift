// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension MVCCError {
    /// The error as TiKV prints it into `KeyError.abort` and `KeyError.retryable`: Rust's debug form of the error and of
    /// those that it is wrapped in (tikv `src/storage/errors.rs`). Clients look for words in it.
    var debugText: String {
        switch self {
        case .invalidTxnTSO(let startTS, let commitTS):
            "Error(Txn(Error(InvalidTxnTso { start_ts: TimeStamp(\(startTS)), commit_ts: TimeStamp(\(commitTS)) })))"
        case .invalidRequestRange(let start, let end, let lower, let upper):
            "Error(Txn(Error(InvalidReqRange { start: \(Self.text(start)), end: \(Self.text(end)), "
                + "lower_bound: \(Self.text(lower)), upper_bound: \(Self.text(upper)) })))"
        case .apiVersionNotMatched(let command, let storage, let request):
            "Error(ApiVersionNotMatched { cmd: \(command), storage_api_version: \(storage), "
                + "req_api_version: \(request) })"
        case .invalidKeyMode(let command, let storage, let key):
            "Error(InvalidKeyMode { cmd: \(command), storage_api_version: \(storage), key: \"\(key.hex)\" })"
        case .keyIsLocked, .writeConflict, .alreadyExist, .committed, .pessimisticLockRolledBack,
            .pessimisticLockNotFound, .txnLockNotFound, .txnNotFound, .lockTypeNotMatch, .commitTSExpired,
            .commitTSTooLarge, .assertionFailed, .lockIfExistsFailed, .primaryMismatch, .generationOutOfOrder,
            .deadlock, .notInShrinkMode, .other:
            "Error(Txn(Error(Mvcc(Error(\(self.variantText))))))"
        }
    }

    private var variantText: String {
        switch self {
        case .writeConflict(let startTS, let conflictStartTS, let conflictCommitTS, let key, let primary, let reason):
            "WriteConflict { start_ts: TimeStamp(\(startTS)), conflict_start_ts: TimeStamp(\(conflictStartTS)), "
                + "conflict_commit_ts: TimeStamp(\(conflictCommitTS)), key: \(key), primary: \(primary), "
                + "reason: \(reason.rawValue) }"
        case .committed(let startTS, let commitTS, let key):
            "Committed { start_ts: TimeStamp(\(startTS)), commit_ts: TimeStamp(\(commitTS)), key: \(key) }"
        case .pessimisticLockRolledBack(let startTS, let key):
            "PessimisticLockRolledBack { start_ts: TimeStamp(\(startTS)), key: \(key) }"
        case .pessimisticLockNotFound(let startTS, let key, let reason):
            "PessimisticLockNotFound { start_ts: TimeStamp(\(startTS)), key: \(key), reason: \(reason.rawValue) }"
        case .txnLockNotFound(let startTS, let commitTS, let key):
            "TxnLockNotFound { start_ts: TimeStamp(\(startTS)), commit_ts: TimeStamp(\(commitTS)), key: \(key), "
                + "mvcc_info: None }"
        case .lockTypeNotMatch(let startTS, let key, let pessimistic):
            "LockTypeNotMatch { start_ts: TimeStamp(\(startTS)), key: \(key), pessimistic: \(pessimistic) }"
        case .lockIfExistsFailed(let startTS, let key):
            "LockIfExistsFailed { start_ts: TimeStamp(\(startTS)), key: \(key) }"
        case .generationOutOfOrder(let generation, let key):
            "GenerationOutOfOrder(\(generation), \(key))"
        case .other(let text):
            "Other(\"\(text)\")"
        // The others have messages of their own and are never printed.
        case .keyIsLocked: "KeyIsLocked"
        case .alreadyExist: "AlreadyExist"
        case .txnNotFound: "TxnNotFound"
        case .commitTSExpired: "CommitTsExpired"
        case .commitTSTooLarge: "CommitTsTooLarge"
        case .assertionFailed: "AssertionFailed"
        case .primaryMismatch: "PrimaryMismatch"
        case .deadlock: "Deadlock"
        case .notInShrinkMode: "NotInShrinkMode"
        case .invalidTxnTSO, .invalidRequestRange, .apiVersionNotMatched, .invalidKeyMode: ""
        }
    }

    private static func text(_ key: [UInt8]?) -> String {
        key.map { "Some(\($0))" } ?? "None"
    }
}
