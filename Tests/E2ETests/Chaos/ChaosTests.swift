// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ChaosRuns
import Testing

/// A few small runs of what `make chaos` does with many seeds.
@Suite(.timeLimit(.minutes(5)), .serialized, .enabled(if: TestCluster.hasControl, "changes the cluster"))
struct ChaosTests {
    @Test(arguments: [1, 2] as [UInt64])
    func bankTransfersUnderFaults(seed: UInt64) async throws {
        let report = try await BankRun(seed: seed, transfers: 1_000, accounts: 200).run()
        print("bank \(seed): \(report.text)")
        #expect(report.problems.isEmpty, "\(report.problems.prefix(5))")
        #expect(report["transfers"] == 1_000)
        #expect(report["acknowledged"] > 500)
        #expect(report["audits"] > 0)
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func historiesUnderFaults(seed: UInt64) async throws {
        let report = try await HistoryRun(seed: seed, transactions: 200).run()
        print("history \(seed): \(report.text)")
        #expect(report.problems.isEmpty, "\(report.problems.prefix(5))")
        #expect(report["transactions"] == 200)
        #expect(report["acknowledged"] > 50)
    }
}
