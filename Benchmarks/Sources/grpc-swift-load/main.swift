// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import NIOPosix
import SwiftProtobuf

// grpc-swift-2 as `transport-bench load` is: the same calls to the same server over one connection.
//   grpc-swift-load PORT IN-FLIGHT SECONDS
let arguments = CommandLine.arguments.dropFirst().compactMap { Double($0) }
guard arguments.count == 3 else {
    fatalError("usage: grpc-swift-load PORT IN-FLIGHT SECONDS")
}

let transport = try HTTP2ClientTransport.Posix(
    target: .ipv4(address: "127.0.0.1", port: Int(arguments[0])), transportSecurity: .plaintext,
    eventLoopGroup: MultiThreadedEventLoopGroup(numberOfThreads: 1))
let measurement = try await withGRPCClient(transport: transport) { client in
    let load = PeerLoad(client: client, inFlight: Int(arguments[1]))
    _ = try await load.run(for: .milliseconds(500))
    return try await load.run(for: .seconds(arguments[2]))
}
print(measurement.json)
