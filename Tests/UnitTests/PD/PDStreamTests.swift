// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import SwiftProtobuf
import Synchronization
import Testing
import TiKVProto
import TiKVTransport

@testable import TiKVPD

/// Streams from PD whose messages are made up.
@Suite(.timeLimit(.minutes(1))) struct PDStreamTests {
    private struct Enough: Error {}

    private let clock = VirtualClock(jumps: true)

    /// A client of one member, which leads.
    private func client(_ streams: ScriptedStreams) -> PDClient {
        PDClient(
            endpoints: [PeerAddress(host: "a", port: 2379)], clock: self.clock, random: { 0.5 },
            logger: Logger(label: "test")
        ) { _ in streams }
    }

    private static func member(_ call: String, _ request: any Message) throws(RPCError) -> any Message {
        guard call == "GetMembers" else { throw RPCError(.unimplemented, call, delivery: .answered) }
        var response = Pdpb_GetMembersResponse()
        response.header.clusterID = 7
        var member = Pdpb_Member()
        member.clientUrls = ["http://a:2379"]
        response.members = [member]
        response.leader = member
        return response
    }

    private func streams(
        _ script: @escaping @Sendable (_ call: String, _ stream: Int) throws(RPCError) -> ScriptedStreams.Script
    ) -> ScriptedStreams {
        let base = ScriptedChannel { call, request throws(RPCError) in try Self.member(call, request) }
        return ScriptedStreams(base: base, script: script)
    }

    private static func changes(_ revisions: [Int64], at revision: Int64) -> MetaStoragepb_WatchResponse {
        var response = MetaStoragepb_WatchResponse()
        response.header.clusterID = 7
        response.header.revision = revision
        response.events = revisions.map { revision in
            var event = MetaStoragepb_Event()
            event.kv.modRevision = revision
            return event
        }
        return response
    }

    @Test func aWatchGoesOnAfterTheLastChangeThatItWasTold() async throws {
        // The store was at 90 when it told of changes up to 12 only.
        let streams = self.streams { _, stream in
            ScriptedStreams.Script(
                answers: stream == 1
                    ? [Self.changes([11, 12], at: 90)]
                    : stream == 2 ? [Self.changes([], at: 95)] : [Self.changes([99], at: 99)])
        }
        let told = Mutex<[Int64]>([])
        await #expect(throws: Enough.self) {
            try await self.client(streams).watchMetaEntries([1], from: 11) { changes in
                told.withLock { $0 += changes.map(\.entry.revision) }
                if changes.contains(where: { $0.entry.revision == 99 }) { throw Enough() }
            }
        }
        #expect(told.withLock { $0 } == [11, 12, 99])
        let starts = streams.requests.compactMap { ($0 as? MetaStoragepb_WatchRequest)?.startRevision }
        // An answer without changes says that there were none so far.
        #expect(starts == [11, 13, 96])
    }

    @Test func theLastRevisionOfAllIsSurvived() async throws {
        let streams = self.streams { call, stream in
            guard call == "WatchGlobalConfig" else {
                return ScriptedStreams.Script(answers: [Self.changes([.max], at: .max)])
            }
            var response = Pdpb_WatchGlobalConfigResponse()
            response.header.clusterID = 7
            response.revision = .max
            return ScriptedStreams.Script(answers: [response])
        }
        let client = self.client(streams)
        let count = Mutex(0)
        func twice() throws {
            let seen = count.withLock { count in
                count += 1
                return count
            }
            if seen % 2 == 0 { throw Enough() }
        }
        await #expect(throws: Enough.self) { try await client.watchMetaEntries([1]) { _ in try twice() } }
        await #expect(throws: Enough.self) { try await client.watchGlobalConfig(path: "x") { _ in try twice() } }
    }

    @Test func aStreamOfTokensThatItsOwnerEndsCostsTheLeaderNothing() async throws {
        let streams = self.streams { _, _ in ScriptedStreams.Script(answers: [], ends: false) }
        let client = self.client(streams)
        let deadline = Deadline(after: .seconds(20), from: self.clock.now)
        let isOpen = ScriptedGate()
        let failure = await withTaskGroup(of: (any Error)?.self) { group in
            group.addTask {
                do {
                    try await client.withTokenStream(clientID: 1, deadline: deadline) { stream in
                        isOpen.open()
                        _ = try await stream.stream.next()
                    }
                    return nil
                } catch {
                    return error
                }
            }
            await isOpen.pass()
            group.cancelAll()
            return await group.next() ?? nil
        }
        #expect((failure as? PDError)?.code == .cancelled)
        #expect(await client.leader?.host == "a")
    }
}
