// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

/// The one call that is measured: 60 bytes there, 107 back, about what a raw get takes.
///
/// Both messages are of a type that comes with SwiftProtobuf, so that other clients need no generated code for it.
enum EchoService {
    static let get = RPCMethod<Google_Protobuf_BytesValue, Google_Protobuf_BytesValue>(
        service: "bench.Echo", name: "Get", kind: .unary, batchField: 1)

    /// Tag and length are two bytes.
    static let request = Google_Protobuf_BytesValue(.init(repeating: 0x6b, count: 58))
    static let answer = Google_Protobuf_BytesValue(.init(repeating: 0x76, count: 105))

    static var services: RPCServices {
        var services = RPCServices()
        services.register(Self.get, unary: { _, _ in Self.answer })
        services.registerBatchCommands()
        return services
    }
}
