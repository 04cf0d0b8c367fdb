// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVPD
import TiKVProto

/// Sums up what becomes of the RPCs of a piece of work, which may be done by several tasks at once.
///
/// ```swift
/// let recorder = RequestRecorder()
/// let value = try await withRequestStatistics(recorder) { try await client.get("key") }
/// print(recorder.statistics)
/// ```
public final class RequestRecorder: Sendable {
    /// The recorder that `withRequestStatistics` has put around the running code.
    @TaskLocal static var scoped: RequestRecorder?

    private let state = Mutex(RequestStatistics())

    /// A recorder of nothing yet.
    public init() {}

    /// What was recorded so far. It can be read while the work goes on.
    public var statistics: RequestStatistics { self.state.withLock { $0 } }

    /// Returns what was recorded, and forgets it.
    public func take() -> RequestStatistics {
        self.state.withLock { statistics in
            defer { statistics = RequestStatistics() }
            return statistics
        }
    }

    /// A request of a stale read was answered.
    func recordStaleRead(_ access: RequestStatistics.Access, isLocal: Bool, bytes: Int) {
        self.state.withLock { $0.recordStaleRead(access, isLocal: isLocal, bytes: bytes) }
    }

    /// There was a wait before another try.
    func recordBackoff(_ kind: BackoffKind, _ time: Duration) {
        self.state.withLock { $0.recordBackoff(kind.name, time) }
    }

    /// Locks were looked into.
    func recordLocks(_ time: Duration) {
        self.state.withLock { $0.recordLocks(time) }
    }

    /// An RPC is over.
    func record(
        _ command: String, took time: Duration, _ access: RequestStatistics.Access, _ details: Kvrpcpb_ExecDetailsV2?
    ) {
        let execution = details.map { ExecutionDetails($0) }
        self.state.withLock { statistics in
            statistics.record(command, took: time)
            statistics.record(access)
            if let execution { statistics.execution.merge(execution) }
        }
    }
}

/// Runs `operation` and records what becomes of each RPC to a store that it makes, its child tasks included.
///
/// Nothing is counted, and no answer looked at for what it cost, where nobody records. Of several such functions around
/// the same code the innermost records. What goes on beside calls, such as removing the locks of a transaction that has
/// ended, is not recorded; questions to PD aren't either.
public func withRequestStatistics<Result>(
    _ recorder: RequestRecorder, operation: () async throws -> Result
) async rethrows -> Result {
    try await RequestRecorder.$scoped.withValue(recorder, operation: operation)
}
