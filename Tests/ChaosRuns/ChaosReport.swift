// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What happened in a run, or in several: numbers by name, and what was found wrong.
package struct ChaosReport: Sendable {
    package private(set) var counts: [String: Int] = [:]
    package private(set) var problems: [String] = []
    /// After which changes of the cluster how many steps took how long.
    private var times: [String: (steps: Int, duration: Duration)] = [:]

    package init() {}

    package subscript(name: String) -> Int { self.counts[name] ?? 0 }

    mutating func add(_ name: String, _ count: Int = 1) { self.counts[name, default: 0] += count }

    mutating func problem(_ text: String) { self.problems.append(text) }

    mutating func note(_ change: String, _ steps: Int, _ duration: Duration) {
        let before = self.times[change] ?? (0, .zero)
        self.times[change] = (before.steps + steps, before.duration + duration)
    }

    /// How long a step took after each kind of change.
    package var timesText: String {
        self.times.sorted { $0.value.duration > $1.value.duration }.map { name, time in
            let total = (time.duration / .milliseconds(1)).rounded() / 1_000
            let each = (time.duration / .microseconds(10) / Double(max(1, time.steps))).rounded() / 100
            return "after \(name) \(total) s, \(each) ms a step"
        }.joined(separator: "; ")
    }

    package mutating func merge(_ other: ChaosReport) {
        self.counts.merge(other.counts) { $0 + $1 }
        self.problems += other.problems
        self.times.merge(other.times) { ($0.steps + $1.steps, $0.duration + $1.duration) }
    }

    /// One line: the names in a fixed order, those that were never counted left out.
    package var text: String {
        let first = ["transfers", "transactions", "acknowledged", "undetermined", "refused"]
        let rest = self.counts.keys.filter { !first.contains($0) }.sorted()
        return (first + rest).compactMap { name in self.counts[name].map { "\(name) \($0)" } }.joined(separator: ", ")
    }
}

/// A report that tasks write together.
final class SharedReport: Sendable {
    private let report = Mutex(ChaosReport())

    func add(_ name: String, _ count: Int = 1) { self.report.withLock { $0.add(name, count) } }
    func note(_ change: String, _ steps: Int, _ duration: Duration) {
        self.report.withLock { $0.note(change, steps, duration) }
    }
    func problem(_ text: String) { self.report.withLock { $0.problem(text) } }
    var value: ChaosReport { self.report.withLock { $0 } }
}
