// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What transactions did and saw, as clients were told.
package struct History: Sendable {
    /// A step of a transaction.
    package enum Operation: Sendable, Hashable {
        /// Adds an element, used once in the whole history, to the end of a list.
        case append(key: String, Int)
        /// Saw a list.
        case readList(key: String, [Int])
        /// Sets a register to a value used once in the whole history.
        case write(key: String, Int)
        /// Saw a register; nil where it was not there.
        case read(key: String, Int?)
    }

    package enum Outcome: Sendable, Hashable {
        case committed
        case aborted
        /// Nobody knows: it counts as committed where its writes were seen.
        case unknown
    }

    package struct Transaction: Sendable {
        package var id: Int
        package var operations: [Operation]
        package var outcome: Outcome
        /// The place of the registers' versions in their order; needed where registers are written.
        package var commitTimestamp: UInt64?
        /// When it began and ended, by one counter for all; where given, what ended before another began must be seen by it.
        package var span: ClosedRange<Int>?

        package init(
            _ id: Int, _ operations: [Operation], _ outcome: Outcome = .committed, commitTimestamp: UInt64? = nil,
            span: ClosedRange<Int>? = nil
        ) {
            self.id = id
            self.operations = operations
            self.outcome = outcome
            self.commitTimestamp = commitTimestamp
            self.span = span
        }
    }

    package var transactions: [Transaction]

    package init(_ transactions: [Transaction] = []) { self.transactions = transactions }
}
