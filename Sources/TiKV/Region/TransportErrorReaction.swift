// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVTransport

/// What to do about a call that the transport could not bring to an answer, or that the server refused as a whole.
enum TransportErrorReaction: Sendable, Equatable {
    /// The store can't be reached, or the connection broke: another peer, or the same one later.
    ///
    /// - Parameter isAddressSuspect: whether the store may be found at another address by now.
    case tryNextPeer(isAddressSuspect: Bool)
    /// The store has no room for the request now: the same again after a wait.
    case retry(BackoffKind)
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
        // Else it is a store, or something before it, that is short of memory or streams.
        case .resourceExhausted where error.delivery != .notSent && !Self.isAboutSize(error):
            self = .retry(.serverBusy)
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
            case .unimplemented, .invalidArgument, .permissionDenied, .unauthenticated: return false
            // The status alone may as well be about the answer.
            case .resourceExhausted: return !Self.isAboutRequestSize(error)
            default: return true
            }
        }
    }

    // MARK: - Sizes

    /// Whether either side found a message too large; the same again would be as large. It has no status of its own.
    private static func isAboutSize(_ error: RPCError) -> Bool {
        error.message.contains("over the limit of") || error.message.contains("larger than max")
    }

    /// Whether the server found the request too large to read. In the words of `TiKVTransport`'s `MessageDeframer`, and
    /// of gRPC's core (`message_size_filter.cc`), which TiKV is built on.
    private static func isAboutRequestSize(_ error: RPCError) -> Bool {
        error.message.contains("over the limit of") || error.message.contains("eceived message larger than max")
    }
}
