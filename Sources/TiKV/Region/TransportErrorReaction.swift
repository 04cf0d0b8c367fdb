// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

/// What to do about a call that the transport could not bring to an answer, or that the server refused as a whole.
enum TransportErrorReaction: Sendable, Equatable {
    /// The store can't be reached, or the connection broke: another peer, or the same one later.
    ///
    /// - Parameter isAddressSuspect: whether the store may be found at another address by now.
    case tryNextPeer(isAddressSuspect: Bool)
    /// The call's time is over.
    case expired
    /// Trying again is of no use.
    case fail(TiKVError.Code, String)

    init(_ error: RPCError, hasDeadlinePassed: Bool) {
        switch error.code {
        case .deadlineExceeded where hasDeadlinePassed:
            self = .expired
        case .unavailable, .deadlineExceeded, .cancelled, .unknown, .aborted, .internalError, .dataLoss, .ok, .notFound,
            .alreadyExists, .failedPrecondition:
            self = .tryNextPeer(isAddressSuspect: error.delivery == .notSent)
        case .unimplemented:
            self = .fail(.unsupported, "the store does not know this call")
        case .resourceExhausted:
            self = .fail(.entryTooLarge, "the store or the connection refused a message of this size")
        case .invalidArgument, .permissionDenied, .outOfRange, .unauthenticated:
            self = .fail(.serverError, "the store refused the call with status \(error.code)")
        }
    }

    /// Whether the request may have been carried out although the call failed.
    static func isOutcomeUnknown(_ error: RPCError) -> Bool {
        switch error.delivery {
        case .notSent:
            return false
        case .unknown:
            return true
        case .answered:
            // With these the server says that it did not begin.
            switch error.code {
            case .unimplemented, .invalidArgument, .permissionDenied, .unauthenticated, .resourceExhausted: return false
            default: return true
            }
        }
    }
}
