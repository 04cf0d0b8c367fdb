// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The side of a TLS connection.
package enum TLSRole: Sendable, Equatable {
    case client
    case server
}
