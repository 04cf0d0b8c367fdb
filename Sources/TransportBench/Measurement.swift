// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a measurement found.
struct Measurement: Sendable {
    /// Of each call, in nanoseconds.
    var latencies: [UInt32]
    var duration: Duration
    var processorTime: Duration

    /// Times in microseconds.
    var json: String {
        let count = max(self.latencies.count, 1)
        let sorted = self.latencies.sorted()
        func percentile(_ share: Double) -> Double {
            sorted.isEmpty ? 0 : Double(sorted[min(count - 1, Int(share * Double(count)))]) / 1_000
        }
        let fields: [(String, Double)] = [
            ("count", Double(self.latencies.count)),
            ("per_second", Double(self.latencies.count) / (self.duration / .seconds(1))),
            ("cpu_us", self.processorTime / .microseconds(1) / Double(count)),
            ("p50_us", percentile(0.5)),
            ("p99_us", percentile(0.99)),
        ]
        return "{" + fields.map { "\"\($0)\":\(($1 * 100).rounded() / 100)" }.joined(separator: ",") + "}"
    }
}
