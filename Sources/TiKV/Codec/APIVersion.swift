// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How a cluster keeps keys and values: its stores' `storage.api-version` and `storage.enable-ttl`.
///
/// All clients of a cluster must use the version that its stores are set to; a store refuses requests of another.
public struct APIVersion: Sendable, Hashable {
    private enum Wrapped: String, Sendable {
        case v1
        case v1ttl
        case v2
    }

    private let wrapped: Wrapped

    /// Keys as they are. Raw values live until they are removed; the default of TiKV.
    public static let v1 = APIVersion(wrapped: .v1)

    /// Keys as they are. Raw values may have a time to live (`storage.enable-ttl = true`); such a cluster holds raw data
    /// only.
    public static let v1ttl = APIVersion(wrapped: .v1ttl)

    /// Keys belong to keyspaces, of which a client sees one: ``ClientConfiguration/keyspace``. Raw values may have a time to
    /// live, and a cluster may hold raw and transactional data side by side. It has no column families for raw data.
    public static let v2 = APIVersion(wrapped: .v2)

    /// Whether raw values may have a time to live.
    public var hasTimeToLive: Bool { self.wrapped != .v1 }
}

extension APIVersion: CustomStringConvertible {
    /// `v1`, `v1ttl` or `v2`.
    public var description: String { self.wrapped.rawValue }
}

extension APIVersion: LosslessStringConvertible {
    /// The version of this ``description``, in lower case; nil where there is none.
    public init?(_ description: String) {
        guard let wrapped = Wrapped(rawValue: description) else { return nil }
        self.init(wrapped: wrapped)
    }
}
