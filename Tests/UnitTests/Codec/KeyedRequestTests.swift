// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftProtobuf
import Testing
import TiKVProto

@testable import TiKV

@Suite struct KeyedRequestTests {
    private typealias Samples = CodecSamples

    /// The keys of a request after it was encoded, in the order in which they are listed for it.
    private func encoded<Request: RegionRequest>(
        _ request: Request, _ keys: (Request) -> [Data]
    ) throws -> [Data] {
        let encoded = try Samples.codec().encode(request)
        #expect(encoded.context.apiVersion == .v2)
        #expect(encoded.context.keyspaceID == Samples.id)
        #expect(encoded.context.keyspaceName == "accounts")
        // Outside of API V2 nothing changes.
        #expect(KeyCodec.v1(.raw).encode(request).isEqualTo(message: request))
        #expect(KeyCodec.v1(.transaction).encode(request).isEqualTo(message: request))
        return keys(encoded)
    }

    private let a = CodecSamples.key("a")
    private let b = CodecSamples.key("b")
    private let encodedA = CodecSamples.encoded("a")
    private let encodedB = CodecSamples.encoded("b")

    @Test func rawRequests() throws {
        #expect(try self.encoded(Kvrpcpb_RawGetRequest.with { $0.key = self.a }) { [$0.key] } == [encodedA])
        #expect(
            try self.encoded(Kvrpcpb_RawBatchGetRequest.with { $0.keys = [self.a, self.b] }) { $0.keys }
                == [encodedA, encodedB])
        #expect(
            try self.encoded(
                Kvrpcpb_RawPutRequest.with {
                    $0.key = self.a
                    $0.value = self.b
                }
            ) { [$0.key, $0.value] } == [encodedA, b])
        #expect(
            try self.encoded(
                Kvrpcpb_RawBatchPutRequest.with {
                    $0.pairs = [
                        .with {
                            $0.key = self.a
                            $0.value = self.b
                        }
                    ]
                }
            ) { [$0.pairs[0].key, $0.pairs[0].value] } == [encodedA, b])
        #expect(try self.encoded(Kvrpcpb_RawDeleteRequest.with { $0.key = self.a }) { [$0.key] } == [encodedA])
        #expect(
            try self.encoded(Kvrpcpb_RawBatchDeleteRequest.with { $0.keys = [self.a] }) { $0.keys } == [encodedA])
        #expect(
            try self.encoded(Kvrpcpb_RawDeleteRangeRequest()) { [$0.startKey, $0.endKey] }
                == [Data(Samples.prefix), Data(Samples.end)])
        #expect(try self.encoded(Kvrpcpb_RawGetKeyTTLRequest.with { $0.key = self.a }) { [$0.key] } == [encodedA])
        #expect(
            try self.encoded(
                Kvrpcpb_RawCASRequest.with {
                    $0.key = self.a
                    $0.value = self.b
                    $0.previousValue = self.a
                }
            ) { [$0.key, $0.value, $0.previousValue] } == [encodedA, b, a])
        let range = Kvrpcpb_KeyRange.with { $0.startKey = self.a }
        #expect(
            try self.encoded(Kvrpcpb_RawChecksumRequest.with { $0.ranges = [range] }) {
                [$0.ranges[0].startKey, $0.ranges[0].endKey]
            } == [encodedA, Data(Samples.end)])
        #expect(
            try self.encoded(
                Kvrpcpb_RawCoprocessorRequest.with {
                    $0.ranges = [range]
                    $0.data = self.b
                }
            ) { [$0.ranges[0].startKey, $0.ranges[0].endKey, $0.data] } == [encodedA, Data(Samples.end), b])
    }

    @Test(arguments: [false, true]) func rawScans(isReversed: Bool) throws {
        // From a on to the end, or from the end back to a.
        let (start, end) = isReversed ? (Data(), self.a) : (self.a, Data())
        let bounds = isReversed ? [Data(Samples.end), self.encodedA] : [self.encodedA, Data(Samples.end)]
        #expect(
            try self.encoded(
                Kvrpcpb_RawScanRequest.with {
                    $0.startKey = start
                    $0.endKey = end
                    $0.reverse = isReversed
                }
            ) { [$0.startKey, $0.endKey] } == bounds)
        #expect(
            try self.encoded(
                Kvrpcpb_RawBatchScanRequest.with {
                    $0.ranges = [
                        .with {
                            $0.startKey = start
                            $0.endKey = end
                        }
                    ]
                    $0.reverse = isReversed
                }
            ) { [$0.ranges[0].startKey, $0.ranges[0].endKey] } == bounds)
        #expect(
            try self.encoded(
                Kvrpcpb_ScanRequest.with {
                    $0.startKey = start
                    $0.endKey = end
                    $0.reverse = isReversed
                }
            ) { [$0.startKey, $0.endKey] } == bounds)
    }

    @Test func writesOfTransactions() throws {
        let mutations: [Kvrpcpb_Mutation] = [
            .with {
                $0.op = .put
                $0.key = self.a
                $0.value = self.b
            }, .with { $0.key = self.b },
        ]
        #expect(
            try self.encoded(
                Kvrpcpb_PrewriteRequest.with {
                    $0.mutations = mutations
                    $0.primaryLock = self.a
                    $0.secondaries = [self.b]
                }
            ) { $0.mutations.map(\.key) + [$0.mutations[0].value, $0.primaryLock] + $0.secondaries }
                == [encodedA, encodedB, b, encodedA, encodedB])
        // A primary key that isn't there stays away.
        #expect(
            try self.encoded(Kvrpcpb_CommitRequest.with { $0.keys = [self.a, self.b] }) { $0.keys + [$0.primaryKey] }
                == [encodedA, encodedB, Data()])
        #expect(
            try self.encoded(
                Kvrpcpb_CommitRequest.with {
                    $0.keys = [self.a]
                    $0.primaryKey = self.a
                }
            ) { $0.keys + [$0.primaryKey] } == [encodedA, encodedA])
        #expect(
            try self.encoded(
                Kvrpcpb_PessimisticLockRequest.with {
                    $0.mutations = mutations
                    $0.primaryLock = self.b
                }
            ) { $0.mutations.map(\.key) + [$0.primaryLock] } == [encodedA, encodedB, encodedB])
        #expect(
            try self.encoded(
                Kvrpcpb_FlushRequest.with {
                    $0.mutations = mutations
                    $0.primaryKey = self.a
                }
            ) { $0.mutations.map(\.key) + [$0.primaryKey] } == [encodedA, encodedB, encodedA])
        #expect(
            try self.encoded(Kvrpcpb_DeleteRangeRequest.with { $0.startKey = self.a }) { [$0.startKey, $0.endKey] }
                == [encodedA, Data(Samples.end)])
    }

    @Test func otherRequestsOfTransactions() throws {
        #expect(try self.encoded(Kvrpcpb_GetRequest.with { $0.key = self.a }) { [$0.key] } == [encodedA])
        #expect(try self.encoded(Kvrpcpb_BatchGetRequest.with { $0.keys = [self.a] }) { $0.keys } == [encodedA])
        #expect(try self.encoded(Kvrpcpb_BufferBatchGetRequest.with { $0.keys = [self.a] }) { $0.keys } == [encodedA])
        #expect(try self.encoded(Kvrpcpb_CleanupRequest.with { $0.key = self.a }) { [$0.key] } == [encodedA])
        #expect(try self.encoded(Kvrpcpb_BatchRollbackRequest.with { $0.keys = [self.a] }) { $0.keys } == [encodedA])
        #expect(
            try self.encoded(Kvrpcpb_PessimisticRollbackRequest.with { $0.keys = [self.a] }) { $0.keys } == [encodedA])
        #expect(try self.encoded(Kvrpcpb_ResolveLockRequest.with { $0.keys = [self.a] }) { $0.keys } == [encodedA])
        #expect(
            try self.encoded(Kvrpcpb_TxnHeartBeatRequest.with { $0.primaryLock = self.a }) { [$0.primaryLock] }
                == [encodedA])
        #expect(
            try self.encoded(Kvrpcpb_CheckTxnStatusRequest.with { $0.primaryKey = self.a }) { [$0.primaryKey] }
                == [encodedA])
        #expect(
            try self.encoded(Kvrpcpb_CheckSecondaryLocksRequest.with { $0.keys = [self.a] }) { $0.keys } == [encodedA])
        let range = [Data(Samples.prefix), Data(Samples.end)]
        #expect(try self.encoded(Kvrpcpb_ScanLockRequest()) { [$0.startKey, $0.endKey] } == range)
        #expect(try self.encoded(Kvrpcpb_FlashbackToVersionRequest()) { [$0.startKey, $0.endKey] } == range)
        #expect(try self.encoded(Kvrpcpb_PrepareFlashbackToVersionRequest()) { [$0.startKey, $0.endKey] } == range)
        #expect(try self.encoded(Kvrpcpb_UnsafeDestroyRangeRequest()) { [$0.startKey, $0.endKey] } == range)
        #expect(
            try self.encoded(Kvrpcpb_SplitRegionRequest.with { $0.splitKeys = [self.a] }) {
                $0.splitKeys + [$0.splitKey]
            }
                == [encodedA, Data()])
        #expect(try self.encoded(Kvrpcpb_MvccGetByKeyRequest.with { $0.key = self.a }) { [$0.key] } == [encodedA])
        #expect(
            try self.encoded(Kvrpcpb_PhysicalScanLockRequest.with { $0.startKey = self.a }) { [$0.startKey] }
                == [encodedA])
    }

    @Test func rangesOfTheCoprocessor() throws {
        let range = Coprocessor_KeyRange.with {
            $0.start = self.a
            $0.end = self.b
        }
        let request = Coprocessor_Request.with {
            $0.ranges = [range]
            $0.versionedRanges = [.with { $0.range = range }]
            $0.tasks = [.with { $0.ranges = [range] }]
        }
        #expect(
            try self.encoded(request) { request in
                let ranges = [request.ranges[0], request.versionedRanges[0].range, request.tasks[0].ranges[0]]
                return ranges.flatMap { [$0.start, $0.end] }
            } == [encodedA, encodedB, encodedA, encodedB, encodedA, encodedB])
    }

    @Test func aRequestWithoutKeysStaysAsItIs() throws {
        let request = Kvrpcpb_StoreSafeTSRequest()
        var encoded = request
        encoded.encodeKeys(with: .v1(.transaction))
        #expect(encoded.keyRange.startKey.isEmpty && encoded.keyRange.endKey.isEmpty)
        let ofStartTimestamp = Kvrpcpb_MvccGetByStartTsRequest.with { $0.startTs = 7 }
        #expect(try Samples.codec().encode(ofStartTimestamp).startTs == 7)
    }

    @Test func aCompactionNamesTheKeyspaceAndKeepsItsPlace() throws {
        var request = Kvrpcpb_CompactRequest.with { $0.startKey = self.a }
        request.encodeKeys(with: try Samples.codec())
        #expect(request.startKey == self.a)
        #expect(request.apiVersion == .v2)
        #expect(request.keyspaceID == Samples.id)
    }

    @Test func aTaskOfMPPNamesTheKeyspaceAndHasItsRanges() throws {
        let regions: [Coprocessor_RegionInfo] = [
            .with {
                $0.ranges = [
                    .with {
                        $0.start = self.a
                        $0.end = self.b
                    }
                ]
            }
        ]
        var request = Mpp_DispatchTaskRequest.with {
            $0.regions = regions
            $0.tableRegions = [.with { $0.regions = regions }]
        }
        request.encodeKeys(with: try Samples.codec())
        #expect(request.meta.keyspaceID == Samples.id)
        #expect(request.meta.apiVersion == .v2)
        for region in request.regions + request.tableRegions[0].regions {
            #expect(region.ranges[0].start == self.encodedA)
            #expect(region.ranges[0].end == self.encodedB)
        }
    }
}
