// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftProtobuf
import TiKVProto
import TiKVTransport

/// The calls that both sides of Tests/Foreign/test_transport.py know; every message is a `google.protobuf.BytesValue`.
enum PeerService {
    typealias Bytes = Google_Protobuf_BytesValue
    typealias Method = RPCMethod<Bytes, Bytes>

    static func method(_ name: String) -> Method {
        Method(service: "tikv.test.Peer", name: name, kind: .bidirectional)
    }

    static func message(size: Int) -> Bytes {
        // A pattern, so that bytes out of place show.
        let block = (0..<min(size, 1 << 16)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var message = Bytes()
        while message.value.count < size { message.value.append(contentsOf: block.prefix(size - message.value.count)) }
        return message
    }

    static func message(_ text: String) -> Bytes {
        var message = Bytes()
        message.value = Data(text.utf8)
        return message
    }
}
