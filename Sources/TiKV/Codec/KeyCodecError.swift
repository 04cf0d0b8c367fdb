// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Why a key, range or keyspace can't be encoded or decoded.
enum KeyCodecError: Error, Sendable, Hashable {
    /// The key or range belongs to none or another keyspace than this client's.
    case outsideOfKeyspace
    /// The bytes are no encoding of a key.
    case undecodable
    /// Not what a key of API V2 begins with.
    case notAKeyOfV2
    /// Numbers of keyspaces have 24 bits.
    case keyspaceIDTooLarge(UInt32)
    /// The keyspace has an identity of API V3 in place of a number.
    case keyspaceOfV3
}

extension TiKVError {
    /// For an answer of a store or of PD that can't be decoded.
    init(_ error: KeyCodecError) {
        switch error {
        case .outsideOfKeyspace:
            self.init(.serverError, "an answer holds a key from outside of the client's keyspace")
        case .undecodable:
            self.init(.serverError, "an answer holds a key or bound that can't be decoded")
        case .notAKeyOfV2:
            self.init(.serverError, "an answer holds a key that is none of API V2")
        case .keyspaceIDTooLarge(let id):
            self.init(.keyspaceUnavailable, "the keyspace's number \(id) has more than 24 bits")
        case .keyspaceOfV3:
            self.init(.keyspaceUnavailable, "the keyspace is one of API V3, which this client does not speak")
        }
    }
}
