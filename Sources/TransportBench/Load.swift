// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

/// As many tasks as calls are to be in flight, each making one call after the other.
struct Load: Sendable {
    let pool: ConnectionPool
    /// Nil is the global pool.
    let executor: (any TaskExecutor)?
    let inFlight: Int
    let options: CallOptions

    /// The first call that fails ends the measurement.
    func run(for duration: Duration) async throws -> Measurement {
        let started = ContinuousClock.now
        let processorTime = ProcessorTime.now()
        let end = started + duration
        var latencies: [UInt32] = []
        try await withThrowingTaskGroup(of: [UInt32].self) { group in
            for _ in 0..<self.inFlight {
                group.addTask(executorPreference: self.executor) { try await self.calls(until: end) }
            }
            for try await some in group { latencies += some }
        }
        return Measurement(
            latencies: latencies, duration: ContinuousClock.now - started,
            processorTime: ProcessorTime.now() - processorTime)
    }

    /// The time of each call, in nanoseconds.
    private func calls(until end: ContinuousClock.Instant) async throws -> [UInt32] {
        var latencies: [UInt32] = []
        var now = ContinuousClock.now
        while now < end {
            _ = try await self.pool.unary(EchoService.get, EchoService.request, options: self.options)
            let done = ContinuousClock.now
            let (seconds, attoseconds) = (done - now).components
            latencies.append(UInt32(clamping: seconds * 1_000_000_000 + attoseconds / 1_000_000_000))
            now = done
        }
        return latencies
    }
}
