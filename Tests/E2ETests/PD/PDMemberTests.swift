// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded
import TiKVPD
import TiKVTransport

/// What the client does when PD's members come, go and change their roles.
@Suite(.timeLimit(.minutes(1)), .enabled(if: TestCluster.hasControl)) struct PDMemberTests {
    @Test func anyMemberLeadsToTheLeader() async throws {
        try await PDHarness.with { client, cluster in
            try cluster.transferPDLeader(to: 3)
            let found1 = try await client.region(for: [1], deadline: PDHarness.deadline())
            #expect(found1 != nil)
            #expect(await client.leader?.description == cluster.pdEndpoints[2])
            #expect(await client.followers.map(\.description) == Array(cluster.pdEndpoints[..<2]))
            #expect(await client.clusterID == cluster.clusterID)
            #expect(cluster.requestCount("GetRegion", on: .placementDriver(3)) == 1)
        }
    }

    @Test func regionsAreFoundWhileNobodyLeads() async throws {
        try await PDHarness.with { client, cluster in
            let known = try await client.region(for: [1], deadline: PDHarness.deadline())
            cluster.resignPDLeader()
            #expect(try await client.region(for: [1], deadline: PDHarness.deadline()) == known)
            let spans = [KeySpan(start: [], end: [])]
            #expect(
                try await client.batchScanRegions(spans, limit: 10, deadline: PDHarness.deadline()).first == known)
            // What may not be old has to wait.
            let error = await pdFailure { try await client.store(id: 1, deadline: PDHarness.deadline(.seconds(1))) }
            #expect(error?.code == .unreachable)
            async let store = client.store(id: 1, deadline: PDHarness.deadline())
            try cluster.transferPDLeader(to: 2)
            #expect(try await store?.id == 1)
        }
    }

    @Test func followersAnswerInTurnWhereAllowed() async throws {
        try await PDHarness.with(pd: PDConfiguration(followerHandling: true)) { client, cluster in
            let options = RegionOptions(allowFollower: true)
            for _ in 0..<10 {
                let found2 = try await client.region(for: [1], options: options, deadline: PDHarness.deadline())
                #expect(found2 != nil)
            }
            #expect(cluster.requestCount("GetRegion", on: .placementDriver(2)) == 3)
            #expect(cluster.requestCount("GetRegion", on: .placementDriver(3)) == 3)
            // A follower that fails costs nothing but the question.
            cluster.inject(
                .status(code: 14, message: "busy"), into: .init(rpc: "GetRegion", server: .placementDriver(2)),
                times: nil)
            for _ in 0..<6 {
                let found3 = try await client.region(for: [1], options: options, deadline: PDHarness.deadline())
                #expect(found3 != nil)
            }
        }
    }

    @Test func aFollowerPassesCallsOn() async throws {
        let configuration = PDConfiguration(requestTimeout: .milliseconds(500), forwarding: true)
        try await PDHarness.with(pd: configuration) { client, cluster in
            let found4 = try await client.store(id: 1, deadline: PDHarness.deadline())
            #expect(found4 != nil)
            // The leader lives, but what is sent to it straight is lost.
            let scope = EmbeddedCluster.FaultScope(rpc: "GetStore", server: .placementDriver(1))
            cluster.inject(.cutConnection, into: scope)
            let found5 = try await client.store(id: 2, deadline: PDHarness.deadline())
            #expect(found5 != nil)
            #expect(
                cluster.requestCount("GetStore", on: .placementDriver(2))
                    + cluster.requestCount("GetStore", on: .placementDriver(3)) == 1)
        }
    }

    @Test func aClusterOfAnotherIdentityIsRefused() async throws {
        try await PDHarness.with { client, cluster in
            let found6 = try await client.store(id: 1, deadline: PDHarness.deadline())
            #expect(found6 != nil)
            cluster.answerAsCluster(99)
            let error = await pdFailure { try await client.store(id: 1, deadline: PDHarness.deadline()) }
            #expect(error?.code == .clusterIDMismatch(expected: cluster.clusterID, actual: 99))
            cluster.answerAsCluster(nil)
            let found7 = try await client.store(id: 1, deadline: PDHarness.deadline())
            #expect(found7 != nil)
        }
    }

    @Test func membersAreLookedForNowAndThen() async throws {
        let configuration = PDConfiguration(memberRefreshInterval: .milliseconds(50))
        try await PDHarness.with(pd: configuration) { client, cluster in
            let found8 = try await client.store(id: 1, deadline: PDHarness.deadline())
            #expect(found8 != nil)
            try cluster.transferPDLeader(to: 2)
            // Nobody asks anything; it is noticed all the same.
            while await client.leader?.description != cluster.pdEndpoints[1] { await Task.yield() }
        }
    }
}
