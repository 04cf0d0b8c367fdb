// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// The name that a server's certificate must carry. DNS names and addresses are looked for in different places of a
/// certificate, and only DNS names are sent to the server (SNI).
package enum TLSPeerName: Sendable, Hashable {
    case dns(String)
    case address(String)

    package init(_ host: String) {
        // A zone ("fe80::1%eth0") means something on this machine alone and stands in no certificate.
        let bare = String(host.prefix { $0 != "%" })
        if (try? SocketAddress(ipAddress: bare, port: 0)) != nil {
            self = .address(bare)
        } else {
            self = .dns(host.hasSuffix(".") ? String(host.dropLast()) : host)
        }
    }
}

extension TLSPeerName: CustomStringConvertible {
    package var description: String {
        switch self {
        case .dns(let name): name
        case .address(let address): address
        }
    }
}
