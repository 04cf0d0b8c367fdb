// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto
import TiKVTransport

/// What an answer, or the lack of one, means for a question to PD.
enum PDVerdict: Sendable {
    /// The answer is good.
    case answered
    /// PD has no such region or store; the question as such was in order.
    case notFound
    /// This member doesn't lead (any more) or can't be reached: find the leader and ask again.
    case leaderLost(reason: String, PDAttempts.Kind = .failure)
    /// Ask again later.
    case later(reason: String)
    case fail(PDError)

    /// Reads the header of an answer.
    init(_ header: Pdpb_ResponseHeader, expectedClusterID: UInt64) {
        if header.clusterID != 0, header.clusterID != expectedClusterID {
            self = .fail(.clusterIDMismatch(expected: expectedClusterID, actual: header.clusterID))
            return
        }
        guard header.hasError else {
            self = .answered
            return
        }
        switch header.error.type {
        case .ok:
            self = .answered
        case .regionNotFound, .entryNotFound, .globalConfigNotFound, .storeTombstone:
            self = .notFound
        case .notBootstrapped:
            self = .later(reason: "the cluster is not bootstrapped")
        case .regionsNotContainAllKeyRange:
            self = .later(reason: "PD does not know all regions of the range")
        case .unknown where Self.saysNotLeader(header.error.message):
            self = .leaderLost(reason: "not the leader")
        // A store that never was has no code of its own.
        case .unknown where header.error.message.contains("invalid store ID"):
            self = .notFound
        case .unknown, .alreadyBootstrapped, .incompatibleVersion, .duplicatedEntry, .invalidValue,
            .dataCompacted, .UNRECOGNIZED:
            self = .fail(
                PDError(.server, "PD answered with error \(header.error.type)", detail: header.error.message))
        }
    }

    /// Reads a failed call.
    init(_ error: RPCError, isCancelled: Bool) {
        switch error.code {
        case _ where isCancelled:
            self = .fail(PDError(.cancelled, "cancelled while waiting for PD"))
        case .unimplemented:
            self = .fail(PDError(.unimplemented, "PD does not know this call", detail: error.message))
        case .deadlineExceeded:
            self = .leaderLost(reason: Self.reason(error), error.delivery == .notSent ? .cutShort : .silence)
        case .unavailable, .cancelled, .aborted, .resourceExhausted, .internalError:
            self = .leaderLost(reason: Self.reason(error), error.isPermanent ? .permanent : .failure)
        // A member that was replaced by one of another cluster refuses like this; asking for the members tells.
        case .failedPrecondition:
            self = .leaderLost(reason: Self.reason(error))
        case .unknown where Self.saysNotLeader(error.message):
            self = .leaderLost(reason: "not the leader")
        case .notFound:
            self = .notFound
        case .unknown where error.message.contains("not found"):
            self = .notFound
        case .ok, .unknown, .invalidArgument, .alreadyExists, .permissionDenied, .outOfRange, .dataLoss,
            .unauthenticated:
            self = .fail(PDError(.server, "PD refused the call with status \(error.code)", detail: error.message))
        }
    }

    /// PD has no code for this; every version says it in one of these words.
    private static func saysNotLeader(_ message: String) -> Bool {
        let text = message.lowercased()
        return text.contains("not leader") || text.contains("no leader") || text.contains("not the leader")
            || text.contains("is not serving") || text.contains("leader is nil")
    }

    /// The transport's own words are about addresses and sockets; a server's may be about keys.
    private static func reason(_ error: RPCError) -> String {
        if Self.saysNotLeader(error.message) { return "not the leader" }
        guard error.delivery != .answered, !error.message.isEmpty else { return "\(error.code)" }
        return "\(error.code): \(error.message)"
    }
}

extension PDError {
    static func clusterIDMismatch(expected: UInt64, actual: UInt64) -> PDError {
        PDError(
            .clusterIDMismatch(expected: expected, actual: actual),
            "PD belongs to cluster \(actual), but this client belongs to cluster \(expected)")
    }
}
