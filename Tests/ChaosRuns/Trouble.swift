// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVEmbedded

/// What goes wrong with a cluster while clients work: regions split, merge and move, stores restart, PD's leader changes,
/// the clock jumps, and requests and answers are lost, late, or come twice. What happens, and in which order, follows from the
/// seed; when it happens, from how far the workers have come.
struct Trouble: Sendable {
    /// Of 10,000 requests, how many meet each kind of fault.
    struct Rates: Sendable {
        /// Nobody ever answers: costs the client all of a call's time.
        var lostRequests = 2
        var lostAnswers = 4
        /// The connection breaks after the request was carried out.
        var cutConnections = 10
        var lateRequests = 30
        var lateAnswers = 30
        var repeated = 60
        var regionErrors = 60
    }

    let cluster: EmbeddedCluster
    let seed: UInt64
    /// A key at which a region may be split, as the cluster knows it.
    let splitKey: @Sendable (inout ChaosRandom) -> [UInt8]
    var rates = Rates()
    /// Steps of the workers from one change of the cluster to the next.
    var interval = 40
    /// Between which numbers of regions splits and merges keep.
    var regions = 4...16

    func run(_ progress: Progress, _ report: SharedReport) async throws {
        let faults = self.injectFaults()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.hasten() }
            defer { group.cancelAll() }
            var random = ChaosRandom(self.seed, stream: 1_000)
            var last = "nothing"
            var begin = ContinuousClock.now
            while true {
                let steps = Int.random(in: 1...2 * self.interval, using: &random)
                guard await progress.waitForMore(steps) else { break }
                // What a change costs shows in how long the steps after it took.
                let now = ContinuousClock.now
                report.note(last, steps, begin.duration(to: now))
                last = try await self.change(&random, progress, report)
                begin = now
            }
        }
        for (name, id) in faults { report.add(name, self.cluster.count(of: id)) }
        self.cluster.removeAllFaults()
    }

    /// Lets the cluster's clock run ten times as fast, until the task is cancelled: locks that were left behind expire
    /// within a run, and now and then those of transactions that go on.
    private func hasten() async {
        // Time itself has to pass here, and nothing waits for it: it can't keep step with the workers, as it is needed most where
        // all of them are held up behind a lock that was left behind.
        while (try? await Task.sleep(for: .milliseconds(50))) != nil {
            self.cluster.advanceClock(by: .milliseconds(450))
        }
    }

    // MARK: - Requests

    private func injectFaults() -> [(String, EmbeddedCluster.FaultID)] {
        var stream: UInt64 = 0
        var all: [(String, EmbeddedCluster.FaultID)] = []
        for store in self.cluster.stores {
            // Faults of PD have runs of their own: here, all that is late is late at the stores.
            func inject(_ name: String, _ faults: [EmbeddedCluster.Fault], _ rate: Int) {
                stream += 1
                let id = self.cluster.injectAtRandom(
                    faults, into: .init(server: .store(store.id)), probability: Double(rate) / 10_000,
                    seed: self.seed &* 1_000 &+ stream)
                all.append((name, id))
            }
            inject("lost requests", [.dropRequest], self.rates.lostRequests)
            inject("lost answers", [.dropAnswer], self.rates.lostAnswers)
            inject("connections cut", [.cutConnectionAfterwards, .cutConnection], self.rates.cutConnections)
            inject(
                "late requests", [.delayRequest(.milliseconds(5)), .delayRequest(.milliseconds(60))],
                self.rates.lateRequests)
            inject(
                "late answers", [.delayAnswer(.milliseconds(5)), .delayAnswer(.milliseconds(60))],
                self.rates.lateAnswers)
            inject(
                "repeated requests", [1, 5, 50, 500].map { .repeatLater(afterRequests: $0) }, self.rates.repeated)
            inject(
                "region errors",
                [
                    .notLeader, .notLeaderWithoutHint, .epochNotMatch, .epochNotMatchWithoutRegions, .regionNotFound,
                    .serverIsBusy(backoffMilliseconds: 2), .staleCommand, .maxTimestampNotSynced,
                ].map { .regionError($0) }, self.rates.regionErrors)
        }
        return all
    }

    // MARK: - The cluster

    private func change(
        _ random: inout ChaosRandom, _ progress: Progress, _ report: SharedReport
    ) async throws -> String {
        let regions = self.cluster.regions
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<26:
            guard regions.count < self.regions.upperBound else { return "nothing" }
            // The key may be a region's first already.
            if (try? self.cluster.split(at: self.splitKey(&random))) != nil { return self.note("splits", report) }
        case 26..<48:
            guard regions.count > self.regions.lowerBound else { return "nothing" }
            let index = Int.random(in: 1..<regions.count, using: &random)
            let (left, right) = (regions[index - 1].id, regions[index].id)
            let (source, target) = Bool.random(using: &random) ? (left, right) : (right, left)
            if (try? self.cluster.merge(source, into: target)) != nil { return self.note("merges", report) }
        case 48..<70:
            guard let region = regions.randomElement(using: &random),
                let store = self.cluster.stores.randomElement(using: &random)
            else { return "nothing" }
            if (try? self.cluster.transferLeader(ofRegion: region.id, to: store.id)) != nil {
                return self.note("moves", report)
            }
        case 70..<76:
            self.cluster.scatterLeaders()
            return self.note("moves", report)
        case 76..<86:
            guard let store = self.cluster.stores.randomElement(using: &random) else { return "nothing" }
            try await self.cluster.stopStore(store.id)
            _ = await progress.waitForMore(Int.random(in: 1...20, using: &random))
            try await self.cluster.startStore(store.id)
            return self.note("restarts", report)
        case 86..<90:
            guard let store = self.cluster.stores.randomElement(using: &random) else { return "nothing" }
            try await self.cluster.moveStore(store.id)
            return self.note("restarts", report)
        case 90..<96:
            guard let member = self.cluster.pdMembers.randomElement(using: &random) else { return "nothing" }
            if (try? self.cluster.transferPDLeader(to: member.id)) != nil {
                return self.note("PD leader changes", report)
            }
        default:
            // By now and then more than any lock lives.
            self.cluster.advanceClock(by: .seconds([1, 4, 30].randomElement(using: &random) ?? 1))
            return self.note("clock jumps", report)
        }
        return "nothing"
    }

    private func note(_ name: String, _ report: SharedReport) -> String {
        report.add(name)
        return name
    }
}
