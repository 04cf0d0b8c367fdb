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

    @Flag(name: .long, help: "Tells how long the workers' steps took after what happened to the cluster.") var times = false

    func run() async throws {
        var totals: [Kind: ChaosReport] = [:]
        var failures = 0
        for seed in self.first..<self.first + UInt64(max(0, self.seeds)) {
            for kind in Kind.allCases where self.only == nil || self.only == kind {
                let started = ContinuousClock.now
                let report: ChaosReport
                switch kind {
                case .bank: report = try await BankRun(seed: seed, transfers: self.transfers).run()
                case .history: report = try await HistoryRun(seed: seed, transactions: self.transactions).run()
                }
                let seconds = Double((ContinuousClock.now - started) / .milliseconds(100)).rounded() / 10
                print("\(kind) \(seed): \(seconds) s, \(report.text)")
                for problem in report.problems.prefix(10) { print("  WRONG: \(problem)") }
                if !report.problems.isEmpty { failures += 1 }
                totals[kind, default: ChaosReport()].merge(report)
            }
        }
        for kind in Kind.allCases {
            guard let total = totals[kind] else { continue }
            print("\(kind), \(self.seeds) seeds: \(total.text)")
            if self.times { print("  \(total.timesText)") }
        }
        print(failures == 0 ? "all is well" : "\(failures) runs went wrong")
        if failures > 0 { throw ExitCode(1) }
    }
}
