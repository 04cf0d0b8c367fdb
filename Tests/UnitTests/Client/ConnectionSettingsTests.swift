// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What an application says of its connections, and what comes of it.
@Suite(.timeLimit(.minutes(1))) struct ConnectionSettingsTests {
    private typealias Harness = PipelineHarness

    // MARK: - Headers

    @Test func headersGoWithEveryConnection() {
        var connection = ClientConfiguration.Connection()
        #expect(connection.forTransport.metadata.isEmpty)
        connection.headers = [
            "x-token": "a b=", "Bad": "x", "grpc-timeout": "1S", "x-b": "1", "x-line": "a\nb", "": "x",
        ]
        #expect(connection.forTransport.metadata == ["x-b": "1", "x-token": "a b="])
    }

    @Test(arguments: [
        ("authorization", "Bearer 1", true), ("x_y.z-1", "", true), ("X", "", false), (":path", "/", false),
        ("x y", "", false), ("te", "trailers", false), ("content-type", "x", false), ("x-bin", "AA", false),
        ("x", "ü", false), ("x", "\u{7f}", false), ("grpc-status", "0", false),
    ])
    func onlyWhatMayStandInAHeaderIsSent(name: String, value: String, isGood: Bool) {
        #expect(ClientConfiguration.Connection.isHeader(name, value) == isGood)
    }

    // MARK: - How long a try may take

    private func sendScan(_ harness: Harness, timeout: Duration) async throws {
        var request = Kvrpcpb_RawScanRequest()
        request.startKey = Data([0x6b])
        let _: Kvrpcpb_RawScanResponse = try await harness.sender.send(
            TikvpbTikvRPC.rawScan, request, key: [0x6b], timeout: timeout, isWrite: false)
    }

    private func sendCoprocessor(_ harness: Harness, timeout: Duration) async throws {
        let _: Kvrpcpb_RawCoprocessorResponse = try await harness.sender.send(
            TikvpbTikvRPC.rawCoprocessor, .init(), key: [0x6b], timeout: timeout, isWrite: false)
    }

    @Test func eachKindOfRequestHasItsPatience() async throws {
        var routing = ClientConfiguration.Routing()
        routing.coprocessorAttemptTimeout = .seconds(90)
        let harness = Harness([.sample(1)], routing: routing)
        harness.on("store1") { request throws(RPCError) in
            switch request {
            case is Kvrpcpb_RawScanRequest: Kvrpcpb_RawScanResponse()
            case is Kvrpcpb_RawCoprocessorRequest: Kvrpcpb_RawCoprocessorResponse()
            default: Harness.value("v")
            }
        }
        for timeout in [Duration.seconds(300), .seconds(45), .seconds(5)] {
            _ = try await harness.get(timeout: timeout)
            try await self.sendScan(harness, timeout: timeout)
            try await self.sendCoprocessor(harness, timeout: timeout)
        }
        #expect(
            harness.options.map(\.timeout)
                == [30, 60, 90, 30, 45, 45, 5, 5, 5].map { Duration.seconds($0) })
    }

    @Test func aTryThatTakesTooLongIsMadeAgain() async throws {
        let harness = Harness([.sample(1)])
        let clock = harness.clock
        harness.on("store1") { _ throws(RPCError) in
            clock.advance(by: .seconds(30))
            throw RPCError(.deadlineExceeded, "the deadline passed", delivery: .unknown)
        }
        harness.setDead("store1")
        harness.on("store2") { _ in Harness.value("v") }
        harness.on("store3") { _ in Harness.value("v") }
        #expect(try await harness.get(timeout: .seconds(100)) == Harness.value("v"))
        #expect(harness.hosts == ["store1", "store2"])
    }

    @Test func storesAreToldToGiveUpWritesInTime() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { request throws(RPCError) in
            switch request {
            case is Kvrpcpb_CommitRequest: Kvrpcpb_CommitResponse()
            default: Kvrpcpb_RawPutResponse()
            }
        }
        var options = RequestOptions()
        for limit in [nil, Duration.seconds(3)] {
            options.maximumExecutionTime = limit
            let _: Kvrpcpb_CommitResponse = try await harness.sender.send(
                TikvpbTikvRPC.kvCommit, .init(), key: [0x6b], timeout: .seconds(100), isWrite: true, options: options)
        }
        try await harness.put()
        let limits = harness.requests.map { request in
            (request as? any RegionRequest)?.context.maxExecutionDurationMs
        }
        // A single put has nobody to wait for.
        #expect(limits == [20_000, 3_000, 0])
    }
}
