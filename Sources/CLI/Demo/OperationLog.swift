// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What the demo did: latencies and errors by operation.
struct OperationLog: Sendable {
    struct Entry: Sendable {
        var name: String
        var latencies = LatencyHistogram()
        var errors = 0
    }

    private(set) var entries: [Entry] = []
    /// The first errors, to be shown.
    private(set) var complaints: [String] = []
    private static let maximumComplaints = 5

    var count: Int { self.entries.reduce(0) { $0 + $1.latencies.count } }
    var errors: Int { self.entries.reduce(0) { $0 + $1.errors } }

    /// Runs an operation and notes how long it took; one that throws counts as an error, and the demo goes on. Returns nil
    /// then.
    @discardableResult
    mutating func measure<Result>(_ name: String, _ operation: () async throws -> Result) async -> Result? {
        let started = ContinuousClock.now
        do {
            let result = try await operation()
            self.add(name, ContinuousClock.now - started)
            return result
        } catch {
            self.complain(name, String(describing: error))
            return nil
        }
    }

    mutating func add(_ name: String, _ latency: Duration) {
        self.entries[self.index(of: name)].latencies.record(latency)
    }

    /// Notes an error, which may also be an answer that is wrong.
    mutating func complain(_ name: String, _ reason: String) {
        self.entries[self.index(of: name)].errors += 1
        if self.complaints.count < Self.maximumComplaints {
            self.complaints.append("\(name): \(reason)")
        }
    }

    mutating func merge(_ other: Self) {
        for entry in other.entries {
            let index = self.index(of: entry.name)
            self.entries[index].latencies.merge(entry.latencies)
            self.entries[index].errors += entry.errors
        }
        self.complaints += other.complaints.prefix(Self.maximumComplaints - self.complaints.count)
    }

    mutating func merge(_ latencies: LatencyHistogram, as name: String) {
        self.entries[self.index(of: name)].latencies.merge(latencies)
    }

    var table: String {
        var table = TextTable(["operation", "count", "errors", "p50", "p99", "max"])
        for entry in self.entries {
            table.add([
                entry.name,
                Readable.count(entry.latencies.count),
                Readable.count(entry.errors),
                Readable.duration(entry.latencies.percentile(0.5)),
                Readable.duration(entry.latencies.percentile(0.99)),
                Readable.duration(entry.latencies.maximum),
            ])
        }
        return table.text
    }

    private mutating func index(of name: String) -> Int {
        if let index = self.entries.firstIndex(where: { $0.name == name }) {
            return index
        }
        self.entries.append(Entry(name: name))
        return self.entries.count - 1
    }
}
