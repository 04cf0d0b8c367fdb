// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// One answer on a stream of timestamps: the last of `count` in a row.
struct TSOAnswer: Sendable, Equatable {
    var physical: Int64
    var logical: Int64
    var count: UInt32
    /// Low bits of the count that tell one server's timestamps from another's; they are the same within an answer.
    var suffixBits: UInt32 = 0
}

/// An answer that can't be right.
enum TSOViolation: Error, Equatable {
    /// An answer to no question, or of another length.
    case mismatch
    /// Timestamps that are not above all earlier ones.
    case fallback(last: Timestamp, first: Timestamp)

    var message: String {
        switch self {
        case .mismatch: "an answer does not fit the question"
        case .fallback(let last, let first): "timestamps went back: \(first) after \(last)"
        }
    }
}

/// When requests for timestamps are sent.
struct TSOLimits: Sendable {
    /// Timestamps in one request.
    var batchSize = 10_000
    /// Requests that are sent without looking at how many callers they are for. It keeps the wait of a few callers short;
    /// more requests than that cost more than they gain.
    var eagerRequests = 4
    /// Requests under way in all.
    var requests = 16
    /// Callers that make one more request worth its cost when the eager ones are under way.
    var worthwhile = 64
    /// Callers for whom a request is sent without a wait for more, where there is one.
    var enough = 8
}
