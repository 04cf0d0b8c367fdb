// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

@testable import TiKVTransport

/// Keeps what a transport reports.
final class RecordingObserver: TransportObserver {
    struct Log {
        var changes: [ConnectionStateChange] = []
        var bytesReceived = 0
        var bytesSent = 0
        var openStreams: [UInt64: Int] = [:]
        var mostStreams = 0
        var batches: [Int] = []
        var commands: [CommandStages] = []
        var calls: [(method: String, duration: Duration, error: RPCError?)] = []
    }

    private let log = Mutex(Log())
    private let states = AsyncStream<ConnectionStateChange>.makeStream()

    /// The connections' changes, as they come. For one reader.
    var changes: AsyncStream<ConnectionStateChange> { self.states.stream }

    var soFar: Log { self.log.withLock { $0 } }
    var bytesReceived: Int { self.soFar.bytesReceived }
    var bytesSent: Int { self.soFar.bytesSent }

    func connectionChanged(_ change: ConnectionStateChange) {
        self.log.withLock { $0.changes.append(change) }
        self.states.continuation.yield(change)
    }

    func bytesReceived(_ count: Int) {
        self.log.withLock { $0.bytesReceived += count }
    }

    func bytesSent(_ count: Int) {
        self.log.withLock { $0.bytesSent += count }
    }

    func streamsChanged(_ change: StreamCountChange) {
        self.log.withLock { log in
            log.openStreams[change.connection] = change.openStreams
            log.mostStreams = max(log.mostStreams, change.openStreams)
        }
    }

    func batchSent(commands: Int, bytes: Int) {
        self.log.withLock { $0.batches.append(commands) }
    }

    func commandEnded(_ stages: CommandStages) {
        self.log.withLock { $0.commands.append(stages) }
    }

    func callFinished(_ method: String, _ duration: Duration, _ error: RPCError?) {
        self.log.withLock { $0.calls.append((method, duration, error)) }
    }
}
