// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Why a write was not taken, or what was wrong with a call. Nothing has changed then.
package enum WriteBufferError: Error, Sendable, Hashable {
    /// A key is longer than TiKV takes.
    case keyTooLarge(size: Int, limit: Int)
    /// A key and its value are longer than the entry limit.
    case entryTooLarge(size: Int, limit: Int)
    /// All keys and values together would be longer than the transaction's limit.
    case transactionTooLarge(size: Int, limit: Int)
    /// There would be more keys than the transaction's limit.
    case tooManyKeys(count: Int, limit: Int)
    /// A stage was ended that is not the newest one.
    case notTheNewestStage
    /// A checkpoint was used that an earlier one has been reverted past.
    case checkpointIsGone
}
