// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVEmbedded
import TiKVPD

/// Timestamps of an embedded PD with three members, whatever happens to these.
@Suite(.timeLimit(.minutes(2)), .enabled(if: TestCluster.hasControl)) struct PDTimestampTests {
    /// Callers that take timestamps one after the other, and check that none is given twice and none is below one that
    /// anybody had before it was asked for.
    private final class Traffic: Sendable {
        private struct State {
            var taken: Set<UInt64> = []
            var highest = Timestamp.zero
            var faults: [String] = []
            var isOver = false
        }

        private let state = Mutex(State())

        var count: Int { self.state.withLock { $0.taken.count } }
        var faults: [String] { self.state.withLock { $0.faults } }

        func stop() { self.state.withLock { $0.isOver = true } }

        func run(_ client: PDClient) async {
            while !self.state.withLock({ $0.isOver }) {
                let before = self.state.withLock { $0.highest }
                do throws(PDError) {
                    let timestamp = try await client.timestamp(deadline: PDHarness.deadline())
                    self.state.withLock { state in
                        if timestamp <= before { state.faults.append("\(timestamp) after \(before)") }
                        if !state.taken.insert(timestamp.rawValue).inserted {
                            state.faults.append("\(timestamp) twice")
                        }
                        state.highest = max(state.highest, timestamp)
                    }
                } catch {
                    self.state.withLock { $0.faults.append("\(error.code): \(error.message)") }
                }
            }
        }

        /// Waits for so many more timestamps; or for a fault, which the test looks at.
        func waitForMore(_ count: Int) async {
            let target = self.count + count
            while self.count < target, self.faults.isEmpty, !Task.isCancelled { await Task.yield() }
        }
    }

    private func withTraffic(
        _ client: PDClient, callers: Int = 16, _ body: (Traffic) async throws -> Void
    ) async throws {
        let traffic = Traffic()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<callers { group.addTask { await traffic.run(client) } }
            defer { traffic.stop() }
            try await body(traffic)
        }
        #expect(traffic.faults == [])
    }

    @Test func theLeaderDiesInTheMiddleOfTraffic() async throws {
        try await PDHarness.with { client, cluster in
            try await self.withTraffic(client) { traffic in
                await traffic.waitForMore(200)
                for _ in 0..<3 {
                    let leader = try #require(cluster.pdLeader)
                    try await cluster.stopPDMember(leader)
                    #expect(cluster.pdLeader != leader)
                    await traffic.waitForMore(200)
                    try await cluster.startPDMember(leader)
                    await traffic.waitForMore(200)
                }
            }
        }
    }

    @Test func leadershipMovesAndIsVacantForAWhile() async throws {
        try await PDHarness.with { client, cluster in
            try await self.withTraffic(client) { traffic in
                for step in 0..<6 {
                    await traffic.waitForMore(100)
                    if step % 2 == 1 { cluster.resignPDLeader() }
                    try cluster.transferPDLeader(to: step % 3 + 1)
                }
                await traffic.waitForMore(100)
            }
        }
    }

    @Test func connectionsBreakAndMembersFallSilent() async throws {
        try await PDHarness.with(pd: PDConfiguration(requestTimeout: .milliseconds(300))) { client, cluster in
            try await self.withTraffic(client) { traffic in
                await traffic.waitForMore(100)
                cluster.inject(.cutConnection, into: .init(rpc: "Tso"))
                await traffic.waitForMore(100)
                cluster.inject(.dropAnswer, into: .init(rpc: "Tso"))
                await traffic.waitForMore(100)
                cluster.inject(.status(code: 14, message: "not leader"), into: .init(rpc: "Tso"), times: 2)
                await traffic.waitForMore(100)
            }
        }
    }

    @Test func aPDThatIsDownEndsCallsByTheirDeadlineAndIsFoundAgain() async throws {
        try await PDHarness.with { client, cluster in
            let first = try await client.timestamp(deadline: PDHarness.deadline())
            for member in 1...3 { try await cluster.stopPDMember(member) }
            let error = await pdFailure { try await client.timestamp(deadline: PDHarness.deadline(.seconds(1))) }
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains(cluster.pdEndpoints[0]) == true)
            let other = await pdFailure {
                try await client.store(id: 1, deadline: PDHarness.deadline(.seconds(1)))
            }
            #expect(other?.code == .unreachable)
            async let waiting = client.timestamp(deadline: PDHarness.deadline())
            for member in 1...3 { try await cluster.startPDMember(member) }
            let second = try await waiting
            #expect(second > first)
            let found1 = try await client.store(id: 1, deadline: PDHarness.deadline())
            #expect(found1 != nil)
        }
    }

    /// Leadership is vacant for a while, within the time that a caller has.
    @Test func timestampsGrowAcrossAFailureAndAgeLocks() async throws {
        try await PDHarness.with { client, cluster in
            let lifetime = Duration.milliseconds(50)
            let first = try await client.timestamp(deadline: PDHarness.deadline())
            let second = try await client.timestamp(deadline: PDHarness.deadline())
            #expect(first < second)
            let low = try #require(client.oracle.lowResolutionTimestamp)
            #expect(low >= second)
            #expect(!client.oracle.isExpired(lock: second, timeToLive: .seconds(3600)))
            cluster.resignPDLeader()
            let before = cluster.requestCount("GetMembers")
            async let waiting = client.timestamp(deadline: PDHarness.deadline())
            // It has looked for the leader, and found none.
            while cluster.requestCount("GetMembers") == before { await Task.yield() }
            cluster.advanceClock(by: .milliseconds(100))
            try cluster.transferPDLeader(to: 2)
            let third = try await waiting
            #expect(second < third)
            #expect(third.duration(since: second) >= lifetime)
            #expect(client.oracle.isExpired(lock: second, timeToLive: lifetime))
        }
    }

    @Test func manyCallersShareFewRequests() async throws {
        try await PDHarness.with { client, cluster in
            _ = try await client.timestamp(deadline: PDHarness.deadline())
            let before = cluster.requestCount("Tso")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<1000 {
                    group.addTask { _ = try await client.timestamp(deadline: PDHarness.deadline()) }
                }
                try await group.waitForAll()
            }
            #expect(cluster.requestCount("Tso") - before < 500)
            #expect(cluster.requestCount("GetMembers") == 1)
        }
    }

    @Test func serversOfTheirOwnHandOutTimestamps() async throws {
        try await PDHarness.with(.init(storeCount: 1, pdMembers: 1, timestampServers: 2)) { client, cluster in
            try await self.withTraffic(client, callers: 4) { traffic in
                await traffic.waitForMore(100)
                #expect(cluster.requestCount("Tso", on: .timestampServer(1)) > 0)
                #expect(cluster.requestCount("Tso", on: .placementDriver) == 0)
                cluster.moveTimestampPrimary(to: 2)
                await traffic.waitForMore(100)
                #expect(cluster.requestCount("Tso", on: .timestampServer(2)) > 0)
            }
            let timestamp = try await client.timestamp(deadline: PDHarness.deadline())
            let minimum = try await client.minimumTimestamp(deadline: PDHarness.deadline())
            #expect(minimum > timestamp)
        }
    }

    @Test func timestampsFromOutside() async throws {
        try await PDHarness.with { client, _ in
            let deadline = PDHarness.deadline()
            #expect(try await client.externalTimestamp(deadline: deadline) == .zero)
            let now = try await client.timestamp(deadline: deadline)
            try await client.setExternalTimestamp(now, deadline: deadline)
            #expect(try await client.externalTimestamp(deadline: deadline) == now)
            let future = Timestamp(physical: now.physical + 3_600_000, logical: 0)
            let error = await pdFailure { try await client.setExternalTimestamp(future, deadline: deadline) }
            #expect(error?.code == .server)
            #expect(try await client.minimumTimestamp(deadline: deadline) > now)
        }
    }

    @Test func severalStreamsGoToAllMembers() async throws {
        let configuration = PDConfiguration(timestamps: TSOConfiguration(streams: 3, usesFollowers: true))
        try await PDHarness.with(pd: configuration) { client, cluster in
            // Followers are known once somebody has asked for the members.
            _ = try await client.store(id: 1, deadline: PDHarness.deadline())
            try await self.withTraffic(client) { traffic in
                await traffic.waitForMore(200)
                for member in 1...3 {
                    #expect(cluster.requestCount("Tso", on: .placementDriver(member)) > 0)
                }
                let leader = try #require(cluster.pdLeader)
                try await cluster.stopPDMember(leader)
                await traffic.waitForMore(200)
                try await cluster.startPDMember(leader)
                await traffic.waitForMore(200)
                let follower = try #require((1...3).first { $0 != cluster.pdLeader })
                try await cluster.stopPDMember(follower)
                await traffic.waitForMore(200)
            }
        }
    }
}
