// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKV

/// What a client's observer hears.
@Suite(.timeLimit(.minutes(2)))
struct ClientObserverTests {
    private final class Recorder: ClientObserver {
        struct Log {
            var rpcs: [FinishedRPC] = []
            var states: [ConnectionChange.State] = []
            var bytesReceived = 0
            var bytesSent = 0
            var commands = 0
            var openStreams: [UInt64: Int] = [:]
        }

        private let log = Mutex(Log())
        var soFar: Log { self.log.withLock { $0 } }

        func connectionChanged(_ change: ConnectionChange) { self.log.withLock { $0.states.append(change.state) } }
        func bytesReceived(_ count: Int, from address: String) { self.log.withLock { $0.bytesReceived += count } }
        func bytesSent(_ count: Int, to address: String) { self.log.withLock { $0.bytesSent += count } }
        func streamsChanged(_ openStreams: Int, connection: UInt64, to address: String) {
            self.log.withLock { $0.openStreams[connection] = openStreams }
        }
        func batchSent(commands: Int, bytes: Int, to address: String) { self.log.withLock { $0.commands += commands } }
        func rpcFinished(_ rpc: FinishedRPC) { self.log.withLock { $0.rpcs.append(rpc) } }
    }

    /// Wants to hear nothing.
    private struct Deaf: ClientObserver {}

    @Test func everythingIsHeard() async throws {
        let recorder = Recorder()
        var configuration = ClientConfiguration()
        configuration.observer = recorder
        try await TestCluster.withSpace(configuration: configuration) { space in
            try await space.client.put(space.key("k"), value: "v")
            _ = try await space.client.get(space.key("k"))
        }
        let log = recorder.soFar
        let put = try #require(log.rpcs.first { $0.method == "RawPut" })
        #expect(put.outcome == .ok)
        #expect(put.failure == nil)
        #expect(put.duration > .zero)
        #expect(put.address.contains(":"))
        #expect(log.rpcs.contains { $0.method == "RawGet" })
        #expect(log.rpcs.contains { $0.method == "GetMembers" })
        #expect(log.states.contains(.connecting) && log.states.contains(.ready) && log.states.contains(.closed))
        #expect(log.bytesSent > 0 && log.bytesReceived > 0)
        #expect(log.commands >= 2)
        #expect(log.openStreams.values.allSatisfy { $0 == 0 })
    }

    @Test(arguments: [ClientConfiguration.Connection.Compression.none, .gzip])
    func settingsOfConnectionsReachThem(compression: ClientConfiguration.Connection.Compression) async throws {
        let recorder = Recorder()
        var configuration = ClientConfiguration()
        configuration.observer = recorder
        configuration.connection.compression = compression
        configuration.connection.maximumRequestSize = 1 << 20
        try await TestCluster.withSpace(configuration: configuration) { space in
            try await space.client.put(space.key("k"), value: Value(Array(repeating: 7, count: 500_000)))
            let tooLarge = await failure {
                try await space.client.put(space.key("k"), value: Value(Array(repeating: 7, count: 2 << 20)))
            }
            #expect(tooLarge?.code == .entryTooLarge)
            #expect(tooLarge?.isOutcomeUnknown == false)
        }
        let sent = recorder.soFar.bytesSent
        #expect(compression == .gzip ? sent < 100_000 : sent > 500_000)
    }

    @Test func anObserverMayBeDeaf() async throws {
        var configuration = ClientConfiguration()
        configuration.observer = Deaf()
        try await TestCluster.withSpace(configuration: configuration) { space in
            try await space.client.put(space.key("k"), value: "v")
        }
    }
}
