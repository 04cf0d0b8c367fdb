// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension TiKVError {
    /// This failure as the failure of a write that may have taken effect: never a plain one.
    ///
    /// A cancelled write stays ``Code/cancelled``, since that is what the caller asked for, and is marked.
    func withUnknownOutcome() -> TiKVError {
        if self.code == .undetermined { return self }
        if self.code == .cancelled {
            return TiKVError(
                .cancelled, self.message, detail: self.detail, cause: self.cause, attempts: self.attempts,
                isOutcomeUnknown: true, transaction: self.transaction)
        }
        return TiKVError(
            .undetermined, "a write may or may not have taken effect: \(self.message)", detail: self.detail,
            cause: self, attempts: self.attempts, transaction: self.transaction)
    }

    /// This failure as that of a write over several keys of which others may have taken effect.
    func withPartialEffect() -> TiKVError {
        TiKVError(
            self.code, self.message, detail: self.detail, cause: self.cause, attempts: self.attempts,
            isOutcomeUnknown: true, transaction: self.transaction)
    }
}
