// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftProtobuf
import TiKVPD
import TiKVProto

@testable import TiKV

/// A keyspace in the middle of others, and what its keys look like.
enum CodecSamples {
    static let id: UInt32 = 4242

    static func codec(_ mode: Keyspace.Mode = .raw) throws -> KeyCodec {
        .v2(try Keyspace(mode, id: self.id, name: "accounts"))
    }

    static let prefix: [UInt8] = [0x72, 0x00, 0x10, 0x92]
    static let end: [UInt8] = [0x72, 0x00, 0x10, 0x93]
    /// Of the keyspace before.
    static let previousPrefix: [UInt8] = [0x72, 0x00, 0x10, 0x91]

    static func key(_ text: String) -> Data { Data(text.utf8) }

    /// As stores know it.
    static func encoded(_ text: String) -> Data { Data(self.prefix + text.utf8) }

    /// As regions have it.
    static func bound(_ key: [UInt8]) -> Data { Data(MemComparable.encode(key)) }

    static func region(_ id: UInt64, _ start: [UInt8]?, _ end: [UInt8]?) -> Metapb_Region {
        .with {
            $0.id = id
            $0.startKey = start.map { self.bound($0) } ?? Data()
            $0.endKey = end.map { self.bound($0) } ?? Data()
        }
    }

    static func lock(_ key: String) -> Kvrpcpb_LockInfo {
        .with {
            $0.key = self.encoded(key)
            $0.primaryLock = self.encoded("primary")
            $0.lockVersion = 7
            $0.secondaries = [self.encoded("s1"), self.encoded("s2")]
            $0.sharedLockInfos = [
                .with {
                    $0.key = self.encoded("shared")
                    $0.primaryLock = self.encoded("shared primary")
                }
            ]
        }
    }

    static func decodedLock(_ key: String) -> Kvrpcpb_LockInfo {
        .with {
            $0.key = self.key(key)
            $0.primaryLock = self.key("primary")
            $0.lockVersion = 7
            $0.secondaries = [self.key("s1"), self.key("s2")]
            $0.sharedLockInfos = [
                .with {
                    $0.key = self.key("shared")
                    $0.primaryLock = self.key("shared primary")
                }
            ]
        }
    }
}
