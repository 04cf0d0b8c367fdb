// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import SwiftProtobuf
import Synchronization
import Testing
import TiKVProto
import TiKVTransport

@testable import TiKVPD

/// The PD client against members whose answers are made up, in virtual time.
@Suite(.timeLimit(.minutes(1))) struct PDClientTests {
    /// Three members, one of which leads.
    private final class Members: Sendable {
        struct State {
            var clusterID: UInt64 = 7
            var leader: String? = "a"
            /// What a member thinks who leads, where it is behind.
            var beliefs: [String: String] = [:]
            var down: Set<String> = []
            /// Statuses to answer questions other than for members with, in this order.
            var statuses: [RPCError] = []
            var clusterOf: [String: UInt64] = [:]
            var lacksBatchScan = false
            /// What happens while a member says nothing.
            var silence: (@Sendable () -> Void)?
            var hasOldScan = false
            /// Whether the leader answers calls that a follower passes on, while `down` keeps others from it.
            var isReachedByFollowers = false
            /// Members that answer for regions without leading.
            var knowing: Set<String> = []
        }

        let state = Mutex(State())
        let channels = Mutex<[String: ScriptedChannel]>([:])

        func channel(_ address: PeerAddress) -> any RPCChannel {
            let name = address.host
            let channel = ScriptedChannel { call, request throws(RPCError) in try self.answer(name, call, request) }
            self.channels.withLock { $0[name] = channel }
            return channel
        }

        func calls(_ name: String) -> [String] { self.channels.withLock { $0[name]?.calls ?? [] } }

        private func answer(_ name: String, _ call: String, _ request: any Message) throws(RPCError) -> any Message {
            let state = self.state.withLock { $0 }
            if state.down.contains(name) {
                throw RPCError(.unavailable, "connection refused", delivery: .notSent, peer: name)
            }
            var header = Pdpb_ResponseHeader()
            header.clusterID = state.clusterOf[name] ?? state.clusterID
            if call == "GetMembers" {
                var response = Pdpb_GetMembersResponse()
                response.header = header
                for name in ["a", "b", "c"] {
                    var member = Pdpb_Member()
                    member.clientUrls = ["http://\(name):2379"]
                    response.members.append(member)
                }
                if let leader = state.beliefs[name] ?? state.leader {
                    response.leader.clientUrls = ["http://\(leader):2379"]
                }
                return response
            }
            let metadata = self.channels.withLock { $0[name]?.metadata.last } ?? [:]
            let isForwarded = metadata.first("pd-forwarded-host") == "http://\(state.leader ?? ""):2379"
            let isFollowerRead = metadata.first("pd-allow-follower-handle") != nil && state.knowing.contains(name)
            guard state.leader == name || isForwarded && state.isReachedByFollowers || isFollowerRead else {
                throw RPCError(.unavailable, "not leader", delivery: .answered)
            }
            let status = self.state.withLock { $0.statuses.isEmpty ? nil : $0.statuses.removeFirst() }
            if let status {
                state.silence?()
                throw status
            }
            switch request {
            case let request as Pdpb_GetRegionRequest:
                guard request.header.clusterID == header.clusterID else {
                    throw RPCError(.failedPrecondition, "mismatch cluster id", delivery: .answered)
                }
                var response = Pdpb_GetRegionResponse()
                response.header = header
                if request.regionKey.first != 0x6e {
                    response.region.id = 5
                    response.region.peers = [Self.peer]
                    response.leader = Self.peer
                }
                return response
            case is Pdpb_BatchScanRegionsRequest where state.lacksBatchScan:
                throw RPCError(.unimplemented, "unknown method", delivery: .answered)
            case let request as Pdpb_ScanRegionsRequest:
                var response = Pdpb_ScanRegionsResponse()
                response.header = header
                var region = Metapb_Region()
                region.id = UInt64(request.startKey.first ?? 0) / 2
                if state.hasOldScan {
                    response.regionMetas = [region]
                    response.leaders = [Self.peer]
                } else {
                    var wrapped = Pdpb_Region()
                    wrapped.region = region
                    wrapped.leader = Self.peer
                    response.regions = [wrapped]
                }
                return response
            case is Pdpb_GetStoreRequest:
                var response = Pdpb_GetStoreResponse()
                response.header = header
                response.store.id = 3
                response.store.address = "s:20160"
                response.store.state = .tombstone
                return response
            default:
                throw RPCError(.unimplemented, call, delivery: .answered)
            }
        }

        static var peer: Metapb_Peer {
            var peer = Metapb_Peer()
            peer.id = 9
            peer.storeID = 3
            return peer
        }
    }

    private let members = Members()
    private let clock = VirtualClock(jumps: true)

    private func client(
        _ names: [String] = ["a", "b", "c"], configuration: PDConfiguration = .init()
    ) -> PDClient {
        PDClient(
            endpoints: names.map { PeerAddress(host: $0, port: 2379) }, configuration: configuration,
            clock: self.clock, random: { 0.5 },
            logger: Logger(label: "test")
        ) { [members] in members.channel($0) }
    }

    private func deadline(_ timeout: Duration = .seconds(20)) -> Deadline {
        Deadline(after: timeout, from: self.clock.now)
    }

    @Test func findsTheLeaderThroughAnyMember() async throws {
        self.members.state.withLock { $0.leader = "c" }
        let client = self.client(["b"])
        let region = try await client.region(for: [1], deadline: self.deadline())
        #expect(region?.id == 5)
        #expect(region?.leader?.storeID == 3)
        #expect(self.members.calls("b") == ["GetMembers"])
        #expect(self.members.calls("c") == ["GetRegion"])
        #expect(await client.clusterID == 7)
    }

    @Test func followsAChangeOfLeaderWithoutAWait() async throws {
        let client = self.client()
        _ = try await client.region(for: [1], deadline: self.deadline())
        self.members.state.withLock { $0.leader = "b" }
        #expect(try await client.region(for: [1], deadline: self.deadline())?.id == 5)
        #expect(self.clock.waits.isEmpty)
        #expect(await client.leader?.host == "b")
    }

    @Test func survivesTheDeathOfTheLeader() async throws {
        let client = self.client()
        _ = try await client.region(for: [1], deadline: self.deadline())
        self.members.state.withLock {
            $0.leader = "b"
            $0.down = ["a"]
            // One that hasn't heard yet is asked first, and once more after a wait.
            $0.beliefs = ["c": "a"]
        }
        #expect(try await client.region(for: [1], deadline: self.deadline())?.id == 5)
    }

    @Test func waitsForAnElection() async throws {
        self.members.state.withLock { $0.leader = nil }
        let client = self.client()
        let error = await #expect(throws: PDError.self) {
            try await client.region(for: [1], deadline: self.deadline(.seconds(5)))
        }
        #expect(error?.code == .unreachable)
        #expect(error?.message.contains("no leader is elected") == true)
        #expect(self.clock.elapsed <= .seconds(5))
        self.members.state.withLock { $0.leader = "c" }
        #expect(try await client.region(for: [1], deadline: self.deadline())?.id == 5)
    }

    @Test func namesWhomItTriedAndWhyWhenNobodyAnswers() async throws {
        self.members.state.withLock { $0.down = ["a", "b", "c"] }
        let client = self.client(["a", "b"])
        let error = await #expect(throws: PDError.self) {
            try await client.region(for: [1], deadline: self.deadline(.seconds(10)))
        }
        #expect(error?.code == .unreachable)
        #expect(error?.attempts.map(\.address.description) == ["a:2379", "b:2379"])
        #expect(error?.message.contains("a:2379: unavailable: connection refused") == true)
        #expect(self.clock.elapsed <= .seconds(10))
        #expect(self.members.calls("a").count > 2)
    }

    @Test func silenceUntilTheDeadlineIsNoBrokenConnection() async throws {
        let client = self.client(["a"])
        _ = try await client.region(for: [1], deadline: self.deadline())
        let clock = self.clock
        self.members.state.withLock {
            $0.statuses = [RPCError(.deadlineExceeded, "", delivery: .unknown)]
            $0.silence = { clock.advance(by: .seconds(30)) }
        }
        let error = await #expect(throws: PDError.self) {
            try await client.region(for: [1], deadline: self.deadline())
        }
        #expect(error?.code == .deadlineExceeded)
        #expect(error?.message.contains("a:2379") == true)
    }

    @Test func refusesAMemberOfAnotherCluster() async throws {
        let client = self.client()
        _ = try await client.region(for: [1], deadline: self.deadline())
        self.members.state.withLock {
            $0.clusterOf = ["b": 8, "c": 8]
            $0.down = ["a"]
        }
        let error = await #expect(throws: PDError.self) {
            try await client.region(for: [1], deadline: self.deadline())
        }
        #expect(error?.code == .clusterIDMismatch(expected: 7, actual: 8))
        #expect(error?.message.contains("8") == true)
        #expect(error?.message.contains("7") == true)
    }

    @Test func noticesThatTheWholeClusterWasReplaced() async throws {
        let client = self.client(["a"])
        _ = try await client.region(for: [1], deadline: self.deadline())
        self.members.state.withLock { $0.clusterID = 8 }
        let error = await #expect(throws: PDError.self) {
            try await client.region(for: [1], deadline: self.deadline())
        }
        #expect(error?.code == .clusterIDMismatch(expected: 7, actual: 8))
    }

    @Test func anUnknownRegionIsNil() async throws {
        #expect(try await self.client().region(for: [0x6e], deadline: self.deadline()) == nil)
    }

    @Test func aStoreSaysWhetherItIsGone() async throws {
        #expect(try await self.client().store(id: 3, deadline: self.deadline())?.state == .tombstone)
    }

    @Test func scansRangeByRangeWhereBatchScanIsUnknown() async throws {
        self.members.state.withLock { $0.lacksBatchScan = true }
        let client = self.client()
        let spans = [KeySpan(start: [2], end: [3]), KeySpan(start: [3], end: [4]), KeySpan(start: [8], end: [9])]
        let regions = try await client.batchScanRegions(spans, limit: 10, deadline: self.deadline())
        // The first two spans lie in the same region.
        #expect(regions.map(\.id) == [1, 4])
        #expect(regions.allSatisfy { $0.leader?.id == 9 })
        _ = try await client.batchScanRegions([spans[0]], limit: 10, deadline: self.deadline())
        #expect(self.members.calls("a").filter { $0 == "BatchScanRegions" }.count == 1)
        #expect(try await client.batchScanRegions(spans, limit: 1, deadline: self.deadline()).map(\.id) == [1])
    }

    @Test func readsTheScanOfOlderServers() async throws {
        self.members.state.withLock { $0.hasOldScan = true }
        let regions = try await self.client().scanRegions(
            KeySpan(start: [2], end: []), limit: 0, deadline: self.deadline())
        #expect(regions.map(\.id) == [1])
        #expect(regions.first?.leader?.storeID == 3)
    }

    @Test func aClosedClientSaysSo() async throws {
        let client = self.client()
        _ = try await client.region(for: [1], deadline: self.deadline())
        await client.shutdown()
        let error = await #expect(throws: PDError.self) {
            try await client.region(for: [1], deadline: self.deadline())
        }
        #expect(error?.code == .closed)
        let channel = self.members.channels.withLock { $0["a"] }
        #expect(channel?.isShutDown == true)
    }

    @Test func aServersRefusalIsNotTriedAgain() async throws {
        self.members.state.withLock { $0.statuses = [RPCError(.permissionDenied, "about key k", delivery: .answered)] }
        let error = await #expect(throws: PDError.self) {
            try await self.client().region(for: [1], deadline: self.deadline())
        }
        #expect(error?.code == .server)
        #expect(error?.message.contains("key k") == false)
        #expect(error?.detail == "about key k")
        #expect(self.members.calls("a") == ["GetMembers", "GetRegion"])
    }

    @Test func callersShareARoundThatFindsNobody() async throws {
        let clock = VirtualClock(jumps: false)
        let (opening, open) = AsyncStream.makeStream(of: Void.self)
        let channel = ScriptedChannel { _, _ throws(RPCError) in
            for await _ in opening {}
            throw RPCError(.deadlineExceeded, "", delivery: .unknown)
        }
        let client = PDClient(
            endpoints: [PeerAddress(host: "a", port: 2379)], clock: clock, random: { 0.5 },
            logger: Logger(label: "test")
        ) { _ in channel }
        let deadline = Deadline(after: .seconds(20), from: clock.now)
        let errors = await withTaskGroup(of: PDError?.self) { group in
            for key in UInt8(0)..<4 {
                group.addTask {
                    do throws(PDError) {
                        _ = try await client.region(for: [key], deadline: deadline)
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            // One asks, three wait for it.
            await clock.waitForSleepers(3)
            open.finish()
            // Now each waits before it asks again.
            let pause = Duration.milliseconds(375)
            while clock.waits.filter({ $0 == pause }).count < 4, channel.calls.count < 2 { await Task.yield() }
            #expect(channel.calls == ["GetMembers"])
            clock.advance(by: .seconds(30))
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(errors.count == 4)
        for error in errors { #expect(error?.attempts.map(\.address.description) == ["a:2379"]) }
        #expect(channel.calls == ["GetMembers"])
    }

    @Test func aRoundThatIsCutShortIsTheRunnersOwn() async throws {
        let clock = VirtualClock(jumps: false)
        let (opening, open) = AsyncStream.makeStream(of: Void.self)
        let members = self.members
        let rounds = Mutex(0)
        let client = PDClient(
            endpoints: [PeerAddress(host: "a", port: 2379)], clock: clock, random: { 0.5 },
            logger: Logger(label: "test")
        ) { address in
            let real = members.channel(address)
            return ScriptedChannel { call, request throws(RPCError) in
                if call == "GetMembers",
                    rounds.withLock({
                        $0 += 1
                        return $0
                    }) == 1
                {
                    for await _ in opening {}
                    throw RPCError(.cancelled, "", delivery: .unknown)
                }
                if let request = request as? Pdpb_GetMembersRequest {
                    return try await real.unary(PdpbPDRPC.getMembers, request, options: CallOptions())
                }
                guard let request = request as? Pdpb_GetRegionRequest else {
                    throw RPCError(.unimplemented, call, delivery: .answered)
                }
                return try await real.unary(PdpbPDRPC.getRegion, request, options: CallOptions())
            }
        }
        let deadline = Deadline(after: .seconds(20), from: clock.now)
        let first = Task { try await client.region(for: [1], deadline: deadline) }
        while rounds.withLock({ $0 }) == 0 { await Task.yield() }
        async let second = client.region(for: [2], deadline: deadline)
        await clock.waitForSleepers(1)
        first.cancel()
        open.finish()
        // The other starts anew, without a wait.
        #expect(try await second?.id == 5)
        await #expect(throws: PDError.self) { try await first.value }
    }

    @Test func aCancelledCallEndsAtOnce() async throws {
        self.members.state.withLock { $0.down = ["a", "b", "c"] }
        let still = VirtualClock(jumps: false)
        let client = PDClient(
            endpoints: [PeerAddress(host: "a", port: 2379)], clock: still, logger: Logger(label: "test")
        ) { [members] in members.channel($0) }
        let deadline = Deadline(after: .seconds(20), from: still.now)
        let code = await withTaskGroup(of: PDError.Code?.self) { group in
            group.addTask {
                do throws(PDError) {
                    _ = try await client.region(for: [1], deadline: deadline)
                    return nil
                } catch {
                    return error.code
                }
            }
            await still.waitForSleepers(1)
            group.cancelAll()
            return await group.next() ?? nil
        }
        #expect(code == .cancelled)
    }

    // MARK: - Followers

    @Test func aFollowerPassesCallsOnWhileTheLeaderIsOutOfReach() async throws {
        let client = self.client(configuration: PDConfiguration(forwarding: true))
        _ = try await client.region(for: [1], deadline: self.deadline())
        self.members.state.withLock {
            $0.down = ["a"]
            $0.isReachedByFollowers = true
        }
        #expect(try await client.region(for: [1], deadline: self.deadline())?.id == 5)
        #expect(self.clock.waits.isEmpty)
        #expect(self.members.calls("b").last == "GetRegion")
        // And all that follow, without another try.
        let before = self.members.calls("a").count
        #expect(try await client.store(id: 3, deadline: self.deadline()) != nil)
        #expect(self.members.calls("a").count == before)
        // The leader leads on, and is called itself as soon as it answers.
        #expect(await client.leader?.host == "a")
        self.members.state.withLock { $0.down = [] }
        await client.probe()
        #expect(self.members.calls("a").count == before + 1)
        let passedOn = self.members.calls("b").count
        #expect(try await client.region(for: [1], deadline: self.deadline())?.id == 5)
        #expect(self.members.calls("a").last == "GetRegion")
        #expect(self.members.calls("b").count == passedOn)
    }

    @Test func withoutForwardingNobodyPassesCallsOn() async throws {
        let client = self.client()
        _ = try await client.region(for: [1], deadline: self.deadline())
        self.members.state.withLock {
            $0.down = ["a"]
            $0.isReachedByFollowers = true
        }
        let error = await #expect(throws: PDError.self) {
            try await client.region(for: [1], deadline: self.deadline(.seconds(5)))
        }
        #expect(error?.code == .unreachable)
    }

    @Test func followersAnswerForRegionsWhileNobodyLeads() async throws {
        let client = self.client()
        _ = try await client.region(for: [1], deadline: self.deadline())
        self.members.state.withLock {
            $0.leader = nil
            $0.knowing = ["c"]
        }
        #expect(try await client.region(for: [1], deadline: self.deadline())?.id == 5)
        #expect(self.clock.waits.isEmpty)
        #expect(self.members.calls("c").last == "GetRegion")
        // For nothing else.
        await #expect(throws: PDError.self) {
            try await client.store(id: 3, deadline: self.deadline(.seconds(5)))
        }
    }

    @Test func followersShareTheLoadWhereBothSidesAllowIt() async throws {
        self.members.state.withLock { $0.knowing = ["b", "c"] }
        let options = RegionOptions(allowFollower: true)
        let reserved = self.client()
        for _ in 0..<6 { _ = try await reserved.region(for: [1], options: options, deadline: self.deadline()) }
        #expect(!self.members.calls("b").contains("GetRegion") && !self.members.calls("c").contains("GetRegion"))
        let client = self.client(configuration: PDConfiguration(followerHandling: true))
        for _ in 0..<7 { _ = try await client.region(for: [1], options: options, deadline: self.deadline()) }
        #expect(self.members.calls("b").filter { $0 == "GetRegion" }.count == 2)
        #expect(self.members.calls("c").filter { $0 == "GetRegion" }.count == 2)
        let shared = self.members.calls("b").count
        for _ in 0..<6 { _ = try await client.region(for: [1], deadline: self.deadline()) }
        #expect(self.members.calls("b").count == shared)
        // One that knows nothing, or is gone, costs no more than a question: the leader answers in its place.
        self.members.state.withLock {
            $0.knowing = []
            $0.down = ["b"]
        }
        for _ in 0..<3 {
            #expect(try await client.region(for: [1], options: options, deadline: self.deadline())?.id == 5)
        }
        #expect(self.clock.waits.isEmpty)
    }

    @Test func anOverloadedPDIsNotAskedForRegions() async throws {
        let breaker = CircuitBreaker.Configuration(window: .zero, minimumRate: 0, errorPercentage: 100)
        let client = self.client(configuration: PDConfiguration(circuitBreaker: breaker))
        _ = try await client.store(id: 3, deadline: self.deadline())
        self.members.state.withLock { $0.down = ["a", "b", "c"] }
        await #expect(throws: PDError.self) { try await client.region(for: [1], deadline: self.deadline(.seconds(5))) }
        self.members.state.withLock { $0.down = [] }
        let calls = self.members.calls("a").count
        let error = await #expect(throws: PDError.self) {
            try await client.region(for: [1], deadline: self.deadline(.seconds(5)))
        }
        #expect(error?.message.contains("held back") == true)
        #expect(self.members.calls("a").count == calls)
        #expect(try await client.store(id: 3, deadline: self.deadline()) != nil)
        try await self.clock.sleep(until: self.clock.now.advanced(by: .seconds(10)))
        #expect(try await client.region(for: [1], deadline: self.deadline())?.id == 5)
    }

    // MARK: - Callers without patience

    /// The next call to a leader gets no answer before the clock has gone on by so much.
    private func fallSilent(for duration: Duration, times: Int = 1) {
        self.members.state.withLock { [clock] in
            $0.statuses = Array(
                repeating: RPCError(.deadlineExceeded, "", delivery: .unknown, peer: "a"), count: times)
            $0.silence = { clock.advance(by: duration) }
        }
    }

    @Test func aCallersOwnShortDeadlineCostsTheLeaderNothing() async throws {
        let client = self.client()
        _ = try await client.region(for: [1], deadline: self.deadline())
        let before = self.members.calls("a")
        self.fallSilent(for: .milliseconds(100))
        let error = await #expect(throws: PDError.self) {
            try await client.region(for: [1], deadline: self.deadline(.milliseconds(100)))
        }
        #expect(error?.code == .deadlineExceeded)
        #expect(await client.leader?.host == "a")
        _ = try await client.region(for: [1], deadline: self.deadline())
        #expect(Array(self.members.calls("a").dropFirst(before.count)) == ["GetRegion", "GetRegion"])
        #expect(self.members.calls("b").isEmpty && self.members.calls("c").isEmpty)
    }

    @Test func manyOfThemFindOutTogetherThatTheLeaderIsSilent() async throws {
        let client = self.client()
        _ = try await client.region(for: [1], deadline: self.deadline())
        self.fallSilent(for: .seconds(1), times: 4)
        for isLast in [false, false, true] {
            #expect(await client.leader?.host == "a")
            await #expect(throws: PDError.self) {
                try await client.region(for: [1], deadline: self.deadline(.seconds(1)))
            }
            if isLast { #expect(await client.leader == nil) }
        }
    }

    @Test func anAnswerBetweenThemShowsThatItIsNot() async throws {
        let client = self.client()
        _ = try await client.region(for: [1], deadline: self.deadline())
        for _ in 0..<5 {
            self.fallSilent(for: .seconds(2))
            await #expect(throws: PDError.self) {
                try await client.region(for: [1], deadline: self.deadline(.seconds(2)))
            }
            _ = try await client.region(for: [1], deadline: self.deadline())
        }
        #expect(await client.leader?.host == "a")
        #expect(self.members.calls("a").filter { $0 == "GetMembers" }.count == 1)
    }

    @Test func theyOpenNoCircuitBreaker() async throws {
        let breaker = CircuitBreaker.Configuration(window: .zero, minimumRate: 0, errorPercentage: 100)
        let client = self.client(configuration: PDConfiguration(circuitBreaker: breaker))
        _ = try await client.store(id: 3, deadline: self.deadline())
        self.fallSilent(for: .milliseconds(50))
        await #expect(throws: PDError.self) {
            try await client.region(for: [1], deadline: self.deadline(.milliseconds(50)))
        }
        #expect(try await client.region(for: [1], deadline: self.deadline())?.id == 5)
    }

    // MARK: - Other servers

    @Test func serversOfTimestampsAreKeptWhileMembersAreLookedForAnew() async throws {
        let client = self.client()
        _ = try await client.region(for: [1], deadline: self.deadline())
        let server = PeerAddress(host: "t", port: 3379)
        let primary = PeerAddress(host: "u", port: 3379)
        let stranger = PeerAddress(host: "v", port: 3379)
        for address in [server, primary, stranger] { _ = await client.channel(address) }
        client.tsoService.withLock {
            $0.received(isIndependent: true, urls: ["http://t:3379"])
            $0.found(primary)
        }
        await client.refresh()
        let channels = self.members.channels.withLock { $0 }
        #expect(channels["t"]?.isShutDown == false)
        #expect(channels["u"]?.isShutDown == false)
        #expect(channels["v"]?.isShutDown == true)
    }
}
