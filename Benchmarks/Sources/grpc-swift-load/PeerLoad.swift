// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import SwiftProtobuf

/// As many tasks as calls are to be in flight, each making one call after the other.
struct PeerLoad: Sendable {
    let client: GRPCClient<HTTP2ClientTransport.Posix>
    let inFlight: Int

    private static let method = MethodDescriptor(fullyQualifiedService: "bench.Echo", method: "Get")
    private static let request = Google_Protobuf_BytesValue(.init(repeating: 0x6b, count: 58))

    /// The first call that fails ends the measurement.
    func run(for duration: Duration) async throws -> Measurement {
        let started = ContinuousClock.now
        let processorTime = ProcessorTime.now()
        let end = started + duration
        var latencies: [UInt32] = []
        try await withThrowingTaskGroup(of: [UInt32].self) { group in
            for _ in 0..<self.inFlight {
                group.addTask { try await self.calls(until: end) }
            }
            for try await some in group { latencies += some }
        }
        return Measurement(
            latencies: latencies, duration: ContinuousClock.now - started,
            processorTime: ProcessorTime.now() - processorTime)
    }

    private func calls(until end: ContinuousClock.Instant) async throws -> [UInt32] {
        var latencies: [UInt32] = []
        var now = ContinuousClock.now
        while now < end {
            let answer = try await self.client.unary(
                request: ClientRequest(message: Self.request), descriptor: Self.method,
                serializer: ProtobufSerializer<Google_Protobuf_BytesValue>(),
                deserializer: ProtobufDeserializer<Google_Protobuf_BytesValue>(), options: .defaults
            ) { try $0.message }
            precondition(answer.value.count == 105, "not the answer of the benchmark's server")
            let done = ContinuousClock.now
            let (seconds, attoseconds) = (done - now).components
            latencies.append(UInt32(clamping: seconds * 1_000_000_000 + attoseconds / 1_000_000_000))
            now = done
        }
        return latencies
    }
}
