// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How an operation failed.
///
/// ``code`` says what kind of failure it was; ``isRetryable`` whether the same call may succeed later;
/// ``isOutcomeUnknown`` whether a write may have taken effect all the same.
///
/// ``description`` is free of user data, so it may be logged; ``debugDescription`` has everything, the server's own words
/// included.
public struct TiKVError: Error, Sendable {
    /// One try that failed on the way.
    public struct Attempt: Sendable, Hashable {
        /// Whom the try went to, as `host:port`.
        public var address: String
        /// Why it failed.
        public var reason: String

        /// A failed try.
        public init(address: String, reason: String) {
            self.address = address
            self.reason = reason
        }
    }

    /// Boxed, so that what may throw stays one word wide.
    private final class Storage: Sendable {
        let code: Code
        let message: String
        let detail: String
        let cause: (any Error)?
        let attempts: [Attempt]
        let isOutcomeUnknown: Bool
        let transaction: TransactionFailure?

        init(
            code: Code, message: String, detail: String, cause: (any Error)?, attempts: [Attempt],
            isOutcomeUnknown: Bool, transaction: TransactionFailure?
        ) {
            self.transaction = transaction
            self.code = code
            self.message = message
            self.detail = detail
            self.cause = cause
            self.attempts = attempts
            self.isOutcomeUnknown = isOutcomeUnknown
        }
    }

    private let storage: Storage

    /// - Parameters:
    ///   - message: what happened, without user data.
    ///   - detail: what the server said; shown by ``debugDescription`` only.
    ///   - cause: the error underneath.
    ///   - attempts: the last failed try at each address.
    ///   - isOutcomeUnknown: see ``isOutcomeUnknown``; always true of ``Code/undetermined``.
    ///   - transaction: what is known of the transaction that failed.
    public init(
        _ code: Code, _ message: String, detail: String = "", cause: (any Error)? = nil, attempts: [Attempt] = [],
        isOutcomeUnknown: Bool = false, transaction: TransactionFailure? = nil
    ) {
        self.storage = Storage(
            code: code, message: message, detail: detail, cause: cause, attempts: attempts,
            isOutcomeUnknown: isOutcomeUnknown || code == .undetermined, transaction: transaction)
    }

    /// What kind of failure it was.
    public var code: Code { self.storage.code }

    /// What happened, without user data.
    public var message: String { self.storage.message }

    /// What the server said in its own words, which may contain keys; empty where it said nothing.
    public var detail: String { self.storage.detail }

    /// The error underneath, where there is one.
    public var cause: (any Error)? { self.storage.cause }

    /// What was tried: the last failed try at each address.
    public var attempts: [Attempt] { self.storage.attempts }

    /// What is known of the transaction that failed: with whom it was in conflict, and over which key.
    public var transaction: TransactionFailure? { self.storage.transaction }

    /// Whether a write may have taken effect, wholly or in part, although the call failed.
    ///
    /// True of a write that was sent and never answered, and of one over several keys of which some are done. Reads are
    /// never in doubt.
    public var isOutcomeUnknown: Bool { self.storage.isOutcomeUnknown }

    /// Whether the same call may succeed at a later time, and nothing can have happened yet.
    ///
    /// Of a transaction it is the whole of it that may be run again, from its beginning and with a new timestamp.
    ///
    /// False of an unknown outcome: whether a write may be repeated then, only the application knows.
    public var isRetryable: Bool {
        guard !self.isOutcomeUnknown else { return false }
        switch self.code {
        case .deadlineExceeded, .pdUnreachable, .regionUnavailable, .storeUnreachable, .serverIsBusy,
            .storeLimitReached, .diskFull, .recoveryInProgress, .writeConflict, .lockWaitTimeout, .keyIsLocked,
            .transactionRolledBack, .commitTimestampLag, .gcTooEarly, .safePointUnavailable,
            .resourceGroupThrottled:
            return true
        case .deadlock:
            return self.transaction?.deadlock?.isRetryable ?? true
        default:
            return false
        }
    }
}

extension TiKVError: CustomStringConvertible, CustomDebugStringConvertible {
    /// The code and the message, without user data, so that it may be logged.
    public var description: String {
        var text = "\(self.code): \(self.message)"
        if self.isOutcomeUnknown, self.code != .undetermined { text += " (the write may have taken effect)" }
        return text
    }

    /// All there is to know: also what the server said, the attempts and the cause, which may hold user data.
    public var debugDescription: String {
        var text = self.description
        if !self.detail.isEmpty { text += "; the server said: \(self.detail)" }
        if !self.attempts.isEmpty {
            text += "; tried " + self.attempts.map { "\($0.address): \($0.reason)" }.joined(separator: ", ")
        }
        if let transaction = self.transaction { text += "; \(transaction.debugDescription)" }
        if let cause = self.cause { text += "; caused by \(String(reflecting: cause))" }
        return text
    }
}
