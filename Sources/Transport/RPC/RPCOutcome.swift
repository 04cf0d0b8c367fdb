// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How a call ended, as those who count calls tell them apart.
package enum RPCOutcome: Sendable, Equatable {
    case ok
    /// Its time was over.
    case timeout
    /// Its task was cancelled.
    case cancelled
    /// This client was closed.
    case closed
    case failed

    package init(_ error: RPCError?) {
        switch error {
        case nil: self = .ok
        case let error? where error.isClosedHere: self = .closed
        case let error? where error.code == .deadlineExceeded: self = .timeout
        case let error? where error.code == .cancelled: self = .cancelled
        case .some: self = .failed
        }
    }
}
