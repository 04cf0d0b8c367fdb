// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftProtobuf
import Testing
import TiKVPD
import TiKVProto

@testable import TiKV

/// The request pipeline of a keyspace: PD and stores see encoded keys only, everybody else the application's.
@Suite(.timeLimit(.minutes(1))) struct CodecPipelineTests {
    private typealias Samples = CodecSamples

    private func region(_ id: UInt64, _ start: [UInt8]?, _ end: [UInt8]?) -> RegionDescription {
        let region = Samples.region(id, start, end).with {
            $0.regionEpoch.version = id
            $0.regionEpoch.confVer = 1
            $0.peers = [
                .with {
                    $0.id = 10 + id
                    $0.storeID = 1
                }
            ]
        }
        return RegionDescription(region, leader: region.peers[0])
    }

    @Test func requestsAndAnswersAreTranslated() async throws {
        let harness = PipelineHarness([self.region(1, nil, nil)], codec: try Samples.codec())
        harness.on("store1", { _ in PipelineHarness.value("v") })
        #expect(try await harness.get("k").value == Data("v".utf8))
        let request = try #require(harness.requests.first as? Kvrpcpb_RawGetRequest)
        #expect(request.key == Samples.encoded("k"))
        #expect(request.context.apiVersion == .v2)
        #expect(request.context.keyspaceID == Samples.id)
        #expect(request.context.keyspaceName == "accounts")
        #expect(request.context.regionID == 1)
        // The region reaches beyond the keyspace, and is known as the whole of it.
        let known = try #require(harness.cache.known(containing: [0xff], now: harness.clock.now))
        #expect(known.startKey.isEmpty && known.endKey.isEmpty)
    }

    @Test func aRequestThatIsSentAgainIsEncodedOnce() async throws {
        let harness = PipelineHarness([self.region(1, nil, nil)], codec: try Samples.codec())
        harness.on(
            "store1",
            PipelineHarness.sequence([
                PipelineHarness.regionError { $0.serverIsBusy = .init() },
                PipelineHarness.regionError { $0.regionNotFound = .init() }, PipelineHarness.value("v"),
            ]))
        _ = try await harness.get("k")
        #expect(harness.requests.count == 3)
        for request in harness.requests {
            #expect((request as? Kvrpcpb_RawGetRequest)?.key == Samples.encoded("k"))
        }
    }

    @Test func regionsInAnErrorAreKnownAsThePartInTheKeyspace() async throws {
        let harness = PipelineHarness([self.region(1, nil, nil)], codec: try Samples.codec())
        let split = [
            self.proto(2, nil, Samples.previousPrefix), self.proto(3, Samples.previousPrefix, Samples.prefix + [0x6b]),
            self.proto(4, Samples.prefix + [0x6b], Samples.end), self.proto(5, Samples.end, nil),
        ]
        harness.on(
            "store1",
            PipelineHarness.sequence([
                PipelineHarness.regionError { $0.epochNotMatch.currentRegions = split }, PipelineHarness.value("v"),
            ]))
        _ = try await harness.get("k")
        #expect(await harness.cache.count == 2)
        let left = try #require(harness.cache.known(containing: [], now: harness.clock.now))
        #expect(left.id == 3 && left.startKey.isEmpty && left.endKey == [0x6b])
        let right = try #require(harness.cache.known(before: [], now: harness.clock.now))
        #expect(right.id == 4 && right.startKey == [0x6b] && right.endKey.isEmpty)
        #expect((harness.requests.last as? Kvrpcpb_RawGetRequest)?.context.regionID == 4)
    }

    private func proto(_ id: UInt64, _ start: [UInt8]?, _ end: [UInt8]?) -> Metapb_Region {
        Samples.region(id, start, end).with {
            $0.regionEpoch.version = 9
            $0.regionEpoch.confVer = 1
            $0.peers = [
                .with {
                    $0.id = 10 + id
                    $0.storeID = 1
                }
            ]
        }
    }

    @Test func anAnswerFromAnotherKeyspaceFailsTheCall() async throws {
        let harness = PipelineHarness([self.region(1, nil, nil)], codec: try Samples.codec())
        harness.on("store1") { _ in
            Kvrpcpb_RawGetResponse.with { $0.regionError.keyNotInRegion.key = Data([0x72, 0, 0, 0, 1]) }
        }
        let error = await #expect(throws: TiKVError.self) { try await harness.get("k") }
        #expect(error?.code == .serverError)
    }

    @Test func aBoundThatCannotBeDecodedIsAnError() throws {
        let codec = try Samples.codec()
        var region = self.region(1, nil, nil)
        region.startKey = Samples.prefix + [1]
        let error = #expect(throws: PDError.self) { try CodecRegionSource.decode(region, codec) }
        #expect(error?.code == .server)
        // One of another keyspace is none of this client's.
        region.startKey = MemComparable.encode(Samples.end)
        #expect(try CodecRegionSource.decode(region, codec) == nil)
    }
}

extension Metapb_Region {
    fileprivate func with(_ change: (inout Self) -> Void) -> Self {
        var copy = self
        change(&copy)
        return copy
    }
}
