// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

/// What one measurement found.
struct BenchResult: Sendable {
    /// Such as `raw get`.
    var operation: String
    /// How many keys each operation reads or writes.
    var keysPerOperation: Int
    var inFlight: Int
    var duration: Duration
    var processorTime: Duration
    var latencies: LatencyHistogram
    /// The most memory that the process has had, in bytes.
    var peakMemory: Int
    /// How many transactions were committed, by protocol; empty where none was.
    var commits: [CommitDetails.Kind: Int] = [:]

    private var perSecond: Int { Readable.perSecond(self.latencies.count, in: self.duration) }

    private var processorMicroseconds: Double {
        Self.microseconds(self.processorTime) / Double(max(self.latencies.count, 1))
    }

    private static let percentiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)]

    var text: String {
        let latencies = Self.percentiles.map { "\($0.0) \(Readable.duration(self.latencies.percentile($0.1)))" }
        return """
            \(self.operation), \(self.inFlight) in flight: \
            \(Readable.count(self.latencies.count)) in \(Readable.duration(self.duration))
              throughput   \(Readable.count(self.perSecond))/s\(self.keysText)
              latency      \(latencies.joined(separator: ", ")), max \(Readable.duration(self.latencies.maximum))
              client CPU   \(Self.rounded(self.processorMicroseconds)) µs for each
              peak memory  \(Readable.count(self.peakMemory / 1024)) KiB\(self.commitText)\n
            """
    }

    private var namedCommits: [(name: String, count: Int)] {
        self.commits.map { (String(describing: $0.key), $0.value) }.sorted { $0.name < $1.name }
    }

    private var commitText: String {
        guard !self.commits.isEmpty else { return "" }
        return "\n  committed    "
            + self.namedCommits.map { "\($0.name) \(Readable.count($0.count))" }.joined(separator: ", ")
    }

    private var keysPerSecond: Int { self.perSecond * self.keysPerOperation }

    private var keysText: String {
        self.keysPerOperation == 1
            ? "" : ", of \(Readable.count(self.keysPerOperation)) keys: \(Readable.count(self.keysPerSecond)) keys/s"
    }

    /// Times in microseconds.
    var json: String {
        let latencies = Self.percentiles.map {
            "\"\($0.0)_us\":\(Self.rounded(Self.microseconds(self.latencies.percentile($0.1))))"
        }
        let fields = [
            "\"operation\":\"\(self.operation.replacing("-", with: "_").replacing(" ", with: "_"))\"",
            "\"keys_per_operation\":\(self.keysPerOperation)",
            "\"in_flight\":\(self.inFlight)",
            "\"count\":\(self.latencies.count)",
            "\"seconds\":\(Self.rounded(self.duration / .seconds(1)))",
            "\"per_second\":\(self.perSecond)",
        ]
        let ends = [
            "\"max_us\":\(Self.rounded(Self.microseconds(self.latencies.maximum)))",
            "\"client_cpu_us\":\(Self.rounded(self.processorMicroseconds))",
            "\"peak_memory_bytes\":\(self.peakMemory)",
            "\"commits\":{\(self.namedCommits.map { "\"\($0.name)\":\($0.count)" }.joined(separator: ","))}",
        ]
        return "{" + (fields + latencies + ends).joined(separator: ",") + "}"
    }

    private static func microseconds(_ duration: Duration) -> Double {
        duration / .microseconds(1)
    }

    private static func rounded(_ value: Double) -> Double {
        (value * 100).rounded() / 100
    }
}
