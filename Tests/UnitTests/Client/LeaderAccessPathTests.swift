// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVProto
import TiKVTransport

@testable import TiKV

/// Whom a request to a leader goes to, and what it waits for, answer by answer; the names are those of client-go's table.
@Suite(.timeLimit(.minutes(1))) struct LeaderAccessPathTests {
    enum Answer: Sendable {
        case busy
        case busyWithWait
        /// Not the leader, and no idea who is.
        case noLeader
        /// Not the leader, this store is.
        case leader(UInt64)
        /// No answer in the time that the connection allows.
        case timeout
    }

    struct Path: Sendable, CustomTestStringConvertible {
        var name: String
        var answers: [Answer]
        var stores: [Int]
        /// With a jitter of one half, milliseconds.
        var waits: [Int]
        var testDescription: String { self.name }
    }

    static let paths: [Path] = [
        Path(name: "#01", answers: [], stores: [1], waits: []),
        Path(name: "#02", answers: [.busyWithWait, .busy], stores: [1, 1, 1], waits: [1500, 3000]),
        Path(name: "#04", answers: [.noLeader], stores: [1, 2], waits: [2]),
        Path(name: "#05", answers: [.noLeader, .noLeader], stores: [1, 2, 3], waits: [2, 4]),
        Path(name: "#07", answers: [.leader(3)], stores: [1, 3], waits: []),
        Path(name: "#08", answers: [.leader(3), .busy], stores: [1, 3, 3], waits: [1500]),
        Path(name: "#09", answers: [.timeout], stores: [1, 2], waits: [75]),
        // A region that sleeps until somebody asks each of its peers; then PD is asked, after a wait.
        Path(
            name: "hibernating", answers: [.noLeader, .noLeader, .noLeader], stores: [1, 2, 3, 1],
            waits: [2, 4, 8, 2]),
    ]

    /// Whichever store is asked gives the next of these answers, and after the last one the value.
    private func play(_ answers: [Answer], on harness: PipelineHarness) {
        let rest = Mutex(answers)
        // A store that does not answer in time answers to no health check either.
        if answers.contains(where: { if case .timeout = $0 { true } else { false } }) { harness.setDead("store1") }
        let handler: PipelineHarness.Handler = { _ throws(RPCError) in
            switch rest.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) {
            case nil: return PipelineHarness.value("v")
            case .busy: return PipelineHarness.regionError { $0.serverIsBusy.reason = "x" }
            case .busyWithWait: return PipelineHarness.regionError { $0.serverIsBusy.estimatedWaitMs = 100 }
            case .noLeader: return PipelineHarness.regionError { $0.notLeader.regionID = 1 }
            case .leader(let store):
                return PipelineHarness.regionError {
                    $0.notLeader.leader.id = 10 + store
                    $0.notLeader.leader.storeID = store
                }
            case .timeout: throw RPCError(.deadlineExceeded, "", delivery: .unknown)
            }
        }
        for store in 1...3 { harness.on("store\(store)", handler) }
    }

    @Test(arguments: Self.paths) func answersLeadToTheValue(path: Path) async throws {
        let harness = PipelineHarness([.sample(1)])
        self.play(path.answers, on: harness)
        #expect(try await harness.get() == PipelineHarness.value("v"))
        #expect(harness.hosts == path.stores.map { "store\($0)" })
        #expect(harness.clock.waits == path.waits.map { .milliseconds($0) })
    }

    /// #14 of client-go's table.
    @Test func whatWasLearntStays() async throws {
        let harness = PipelineHarness([.sample(1)])
        self.play([.noLeader], on: harness)
        _ = try await harness.get()
        self.play([.leader(3)], on: harness)
        _ = try await harness.get()
        self.play([.busy], on: harness)
        _ = try await harness.get()
        #expect(harness.hosts == ["store1", "store2", "store2", "store3", "store3", "store3"])
        #expect(harness.regions.questions.filter { $0 == "region" }.count == 1)
    }
}
