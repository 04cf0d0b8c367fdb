// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if os(Linux)

import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A port that stays a server's while that server is stopped, so that it can come back at the same address.
///
/// A socket is bound to it that never listens: connections are refused, the system gives the port to nobody else, and a
/// server that allows the reuse of addresses, as ours do, can listen beside it. Other systems than Linux don't allow that.
final class PortHold: Sendable {
    let port: Int
    private let descriptor: CInt

    /// A free port of a host; nil where the host is a name or the system won't give one.
    init?(host: String) {
        guard let address = try? SocketAddress(ipAddress: host, port: 0) else { return nil }
        let stream = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(CInt(address.protocol == .inet6 ? AF_INET6 : AF_INET), stream, 0)
        guard descriptor >= 0 else { return nil }
        // Allowed only after the port was chosen: the choice has to be one that nobody else has.
        var isAllowed: CInt = 1
        let isBound = address.withSockAddr { bind(descriptor, $0, socklen_t($1)) } == 0
        guard isBound, let port = Self.port(of: descriptor),
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &isAllowed, socklen_t(MemoryLayout<CInt>.size)) == 0
        else {
            close(descriptor)
            return nil
        }
        self.port = port
        self.descriptor = descriptor
    }

    deinit {
        close(self.descriptor)
    }

    /// The port lies in the third and fourth byte of addresses of both families.
    private static func port(of descriptor: CInt) -> Int? {
        withUnsafeTemporaryAllocation(byteCount: 128, alignment: 16) { address in
            var size = socklen_t(address.count)
            guard getsockname(descriptor, address.bindMemory(to: sockaddr.self).baseAddress, &size) == 0 else {
                return nil
            }
            return Int(address[2]) << 8 | Int(address[3])
        }
    }
}

#endif
