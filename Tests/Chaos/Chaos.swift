// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ChaosRuns

/// What `make chaos` runs: both kinds of runs with many seeds. Ends with an exit code of 1 where anything was wrong.
@main
struct Chaos: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chaos", abstract: "Bank transfers and random histories on a cluster in trouble.")

    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case bank
        case history
    }

    @Option(name: .long, help: "How many seeds.") var seeds = 50
    @Option(name: .long, help: "The first seed.") var first: UInt64 = 1
    @Option(name: .long, help: "Transfers in each run of the bank.") var transfers = 20_000
    @Option(name: .long, help: "Transactions in each history.") var transactions = 600
    @Option(name: .long, help: "bank or history; both without.") var only: Kind?

    @Flag(name: .long, help: "Tells how long the workers' steps took after what happened to the cluster.") var times =
        false

    @Option(name: .long, help: "How many runs go on at once: each waits most of the time.") var parallel = 4

    func run() async throws {
        var totals: [Kind: ChaosReport] = [:]
        var failures = 0
        let kinds = Kind.allCases.filter { self.only == nil || self.only == $0 }
        var rest = (0..<UInt64(max(0, self.seeds))).flatMap { number in kinds.map { ($0, self.first + number) } }[...]
        try await withThrowingTaskGroup(of: (Kind, ChaosReport).self) { group in
            for _ in 0..<max(1, self.parallel) {
                if let (kind, seed) = rest.popFirst() { group.addTask { (kind, try await self.run(kind, seed)) } }
            }
            while let (kind, report) = try await group.next() {
                if !report.problems.isEmpty { failures += 1 }
                totals[kind, default: ChaosReport()].merge(report)
                if let (kind, seed) = rest.popFirst() { group.addTask { (kind, try await self.run(kind, seed)) } }
            }
        }
        for kind in kinds {
            guard let total = totals[kind] else { continue }
            print("\(kind), \(self.seeds) seeds: \(total.text)")
            if self.times { print("  \(total.timesText)") }
        }
        print(failures == 0 ? "all is well" : "\(failures) runs went wrong")
        if failures > 0 { throw ExitCode(1) }
    }

    private func run(_ kind: Kind, _ seed: UInt64) async throws -> ChaosReport {
        let started = ContinuousClock.now
        let report =
            switch kind {
            case .bank: try await BankRun(seed: seed, transfers: self.transfers).run()
            case .history: try await HistoryRun(seed: seed, transactions: self.transactions).run()
            }
        let seconds = ((ContinuousClock.now - started) / .milliseconds(100)).rounded() / 10
        let problems = report.problems.prefix(10).map { "\n  WRONG: \($0)" }.joined()
        // One piece, as others print at the same time.
        print("\(kind) \(seed): \(seconds) s, \(report.text)\(problems)")
        return report
    }
}
