// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKVPD

struct BenchTSOCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tso",
        abstract: "Measure timestamps: throughput, latencies, and this process's processor time for each.",
        discussion: "A cluster in another process makes the processor time that of the client alone."
    )

    @Option(name: .long, help: "How many callers ask at once.") var inFlight = 256
    @Option(name: .long, help: "How long to measure, in seconds.", transform: parseSeconds)
    var seconds: Duration = .seconds(5)
    @Option(name: .long, help: "How long to go on unmeasured first, in seconds.", transform: parseSeconds)
    var warmUp: Duration = .seconds(1)
    @Flag(name: .long, help: "Print the result as one JSON object.") var json = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard self.inFlight > 0 else { throw ValidationError("--in-flight must be more than 0") }
    }

    func run() async throws {
        let result = try await self.connection.withPDClient { client in
            _ = try await self.measure(client, self.warmUp)
            return try await self.measure(client, self.seconds)
        }
        try StandardStream.output.write(self.json ? result.json + "\n" : result.text)
    }

    private func measure(_ client: PDClient, _ duration: Duration) async throws -> BenchResult {
        let started = ContinuousClock.now
        let processorTime = ProcessorTime.now()
        let end = started + duration
        let limit = Deadline(at: end + self.connection.timeout)
        var latencies = LatencyHistogram()
        try await withThrowingTaskGroup(of: LatencyHistogram.self) { group in
            for _ in 0..<self.inFlight {
                group.addTask {
                    var latencies = LatencyHistogram()
                    var now = ContinuousClock.now
                    var last = TiKVPD.Timestamp.zero
                    while now < end {
                        let began = now
                        let timestamp = try await client.timestamp(deadline: limit)
                        guard timestamp > last else { throw CommandFailure("\(timestamp) came after \(last)") }
                        last = timestamp
                        now = ContinuousClock.now
                        latencies.record(now - began)
                    }
                    return latencies
                }
            }
            for try await finished in group { latencies.merge(finished) }
        }
        return BenchResult(
            operation: "tso", keysPerOperation: 1, inFlight: self.inFlight,
            duration: ContinuousClock.now - started, processorTime: ProcessorTime.now() - processorTime,
            latencies: latencies, peakMemory: ProcessMemory.peak())
    }
}
