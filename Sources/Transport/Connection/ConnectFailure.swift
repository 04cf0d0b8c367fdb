// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOPosix

/// Puts the errors of a connect into words that a user can act on.
enum ConnectFailure {
    static func describe(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            // One failure for each address that the name resolved to; the last is as good as any where all are alike.
            let reasons = error.connectionErrors.map { Self.describe($0.error) }
            let lookups = [error.dnsAError, error.dnsAAAAError].compactMap { $0 }
            if let reason = reasons.last { return reason }
            if let lookup = lookups.first { return "\(error.host) does not resolve: \(Self.describe(lookup))" }
            return "\(error.host) has no address"
        case ChannelError.connectTimeout(let time):
            return "no answer within \(time.nanoseconds / 1_000_000) ms"
        case let error as TLSError:
            return error.description
        case let error as RPCError:
            return error.message
        case let error as IOError:
            return error.description
        case let error as SocketAddressError:
            if case .unknown(let host, let port) = error { return "\(host):\(port) does not resolve" }
            return "\(error)"
        default:
            return "\(error)"
        }
    }
}
