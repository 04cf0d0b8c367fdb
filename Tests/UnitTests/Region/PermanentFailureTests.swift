// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// Stores that no further connect can reach: their certificates do not fit, or ours do not.
@Suite(.timeLimit(.minutes(1))) struct PermanentFailureTests {
    private typealias Harness = PipelineHarness

    /// A store whose certificate is not trusted.
    private static let untrusted: Harness.Handler = { _ throws(RPCError) in
        throw RPCError(
            .unavailable, "cannot connect: TLS: the certificate is not trusted", delivery: .notSent, isPermanent: true)
    }

    /// The same, as it is told to those who come in the pause after that.
    private static let pausing: Harness.Handler = { _ throws(RPCError) in
        throw RPCError(.unavailable, "cannot connect: TLS: the certificate is not trusted", delivery: .notSent)
    }

    private static func error(_ body: () async throws -> Void) async -> TiKVError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? TiKVError
        }
    }

    /// A store that names the first one's peer as the leader.
    private static let notLeader: Harness.Handler = { _ throws(RPCError) in
        Harness.regionError {
            $0.notLeader.regionID = 1
            $0.notLeader.leader.id = 11
            $0.notLeader.leader.storeID = 1
        }
    }

    @Test func aCallFailsSoonWhereNoReplicaCanBeTrusted() async {
        let harness = Harness([.sample(1)])
        for store in ["store1", "store2", "store3"] { harness.on(store, Self.untrusted) }
        for isWrite in [false, true] {
            let begin = harness.clock.elapsed
            let error = await Self.error {
                if isWrite { try await harness.put() } else { _ = try await harness.get() }
            }
            #expect(error?.code == .storeUnreachable)
            #expect(error?.isOutcomeUnknown == false)
            // Whom, and why.
            #expect(error?.message.contains("store 1 at store1:20160") == true)
            #expect(error?.message.contains("the certificate is not trusted") == true)
            #expect(error?.attempts.map(\.address).sorted() == ["store1:20160", "store2:20160", "store3:20160"])
            #expect(harness.clock.elapsed - begin < .seconds(1))
            // What was found out before a call began says nothing about it.
            harness.clock.advance(by: .seconds(1))
        }
    }

    @Test func anotherReplicaThatServesIsEnough() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1", Self.untrusted)
        harness.on("store2") { _ in Harness.value("v") }
        harness.on("store3") { _ in Harness.value("v") }
        #expect(try await harness.get() == Harness.value("v"))
        #expect(harness.hosts == ["store1", "store2"])
        #expect(harness.clock.elapsed < .seconds(1))
    }

    @Test func aLeaderThatCannotBeTrustedIsTheEndWhereTheOthersDoNotLead() async {
        let harness = Harness([.sample(1)])
        harness.on("store1", Self.untrusted)
        harness.setDead("store1")
        for store in ["store2", "store3"] { harness.on(store, Self.notLeader) }
        let error = await Self.error { _ = try await harness.get() }
        #expect(error?.code == .storeUnreachable)
        #expect(error?.message.contains("store 1 at store1:20160") == true)
        #expect(harness.hosts == ["store1", "store2", "store3"])
    }

    @Test func itGoesOnWhereOneMayComeBack() async {
        let harness = Harness([.sample(1)])
        harness.on("store1", Self.untrusted)
        harness.on("store2", Self.untrusted)
        let error = await Self.error { _ = try await harness.get() }
        #expect(error?.code == .storeUnreachable)
        #expect(harness.clock.elapsed > .seconds(10))
    }

    @Test func thePauseAfterSomebodyElsesConnectIsSatOut() async {
        let harness = Harness([.sample(1)])
        let answers = Mutex(0)
        for store in ["store1", "store2", "store3"] {
            harness.on(store) { request throws(RPCError) in
                let isPause = answers.withLock { count in
                    count += 1
                    return count <= 6
                }
                return try await (isPause ? Self.pausing : Self.untrusted)(request)
            }
        }
        let error = await Self.error { _ = try await harness.get() }
        #expect(error?.message.contains("no replica of the region can be used") == true)
        #expect(answers.withLock { $0 } > 6)
        #expect(harness.clock.elapsed < .seconds(10))
    }

    @Test func whatOthersFoundOutSinceTheCallBeganCounts() {
        let record = StoreRecord(id: 1)
        let clock = VirtualClock(jumps: false)
        let start = clock.now
        record.noteRefusal("not trusted", at: start)
        #expect(record.refusal(since: start) == "not trusted")
        // Certificates may have been put right since.
        #expect(record.refusal(since: start.advanced(by: .milliseconds(1))) == nil)
    }

    @Test func certificatesThatWerePutRightAreFoundOut() async throws {
        let harness = Harness([.sample(1)])
        for store in ["store1", "store2", "store3"] { harness.on(store, Self.untrusted) }
        #expect(await Self.error { _ = try await harness.get() }?.code == .storeUnreachable)
        harness.clock.advance(by: .seconds(1))
        for store in ["store1", "store2", "store3"] { harness.on(store) { _ in Harness.value("v") } }
        #expect(try await harness.get() == Harness.value("v"))
    }
}
