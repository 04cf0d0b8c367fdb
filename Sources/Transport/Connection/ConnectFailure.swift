// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOPosix

#if canImport(Glibc)
private import Glibc
#elseif canImport(Musl)
private import Musl
#else
private import Darwin
#endif

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
            return Self.text(errno: error.errnoCode)
        case let error as SocketAddressError:
            if case .unknown(let host, let port) = error { return "\(host):\(port) does not resolve" }
            return "\(error)"
        default:
            return "\(error)"
        }
    }

    /// Whether another connect would fail in the same way, as long as nobody changes a certificate or a setting.
    static func isPermanent(_ error: any Error) -> Bool {
        (error as? TLSError)?.reason.isPermanent ?? false
    }

    /// The system's own words for an error number, such as "Connection refused".
    private static func text(errno: CInt) -> String {
        unsafe strerror(errno).map { unsafe String(cString: $0) } ?? "error number \(errno)"
    }
}
