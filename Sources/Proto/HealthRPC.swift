// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import SwiftProtobuf

/// `grpc.health.v1.Health`, which every gRPC server of TiKV has: whether it serves.
///
/// Its two messages have one field each, a string and an enum, so that protobuf's own wrappers read and write them: on the
/// wire they are the same.
package enum HealthRPC {
    package typealias Request = Google_Protobuf_StringValue
    package typealias Response = Google_Protobuf_Int32Value

    package static let check = RPCMethod<Request, Response>(
        service: "grpc.health.v1.Health", name: "Check", kind: .unary)

    /// `SERVING` of `HealthCheckResponse.ServingStatus`.
    package static let serving: Int32 = 1
    /// `NOT_SERVING`.
    package static let notServing: Int32 = 2
}
