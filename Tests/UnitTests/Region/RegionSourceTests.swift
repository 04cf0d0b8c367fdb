// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import Testing
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// How the region cache's questions are put to PD.
@Suite(.timeLimit(.minutes(1))) struct RegionSourceTests {
    /// Two members that both know the regions; the first leads.
    private final class Members: Sendable {
        private let asked = Mutex<[String]>([])

        /// Who was asked for regions, in order.
        var questions: [String] { self.asked.withLock { $0 } }

        func channel(_ address: PeerAddress) -> any RPCChannel {
            let name = address.host
            return ScriptedChannel { (call: String, _) throws(RPCError) in
                guard call != "GetMembers" else { return self.members }
                self.asked.withLock { $0.append(name) }
                var response = Pdpb_GetRegionResponse()
                response.header.clusterID = 7
                response.region.id = 5
                var peer = Metapb_Peer()
                peer.id = 51
                peer.storeID = 1
                response.region.peers = [peer]
                response.leader = peer
                return response
            }
        }

        private var members: Pdpb_GetMembersResponse {
            var response = Pdpb_GetMembersResponse()
            response.header.clusterID = 7
            for name in ["a", "b"] {
                var member = Pdpb_Member()
                member.clientUrls = ["http://\(name):2379"]
                response.members.append(member)
            }
            response.leader = response.members[0]
            return response
        }
    }

    @Test func whatMustComeFromTheLeaderIsAskedOfItAlone() async throws {
        let members = Members()
        let clock = VirtualClock(jumps: true)
        let source: any RegionSource = PDClient(
            endpoints: [try #require(PeerAddress("a:2379")), try #require(PeerAddress("b:2379"))],
            configuration: PDConfiguration(followerHandling: true), clock: clock, random: { 0.5 },
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            makeChannel: { members.channel($0) })
        let deadline = Deadline(after: .seconds(10), from: clock.now)
        for _ in 0..<4 {
            #expect(try await source.region(for: [1], fromLeader: true, deadline: deadline)?.id == 5)
            #expect(try await source.previousRegion(for: [1], fromLeader: true, deadline: deadline)?.id == 5)
        }
        #expect(Set(members.questions) == ["a"])
        for _ in 0..<4 { _ = try await source.region(for: [1], fromLeader: false, deadline: deadline) }
        #expect(Set(members.questions) == ["a", "b"])
    }
}
