// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftProtobuf
import Testing
import TiKVProto

@testable import TiKV

@Suite struct KeyedResponseTests {
    private typealias Samples = CodecSamples

    private func decoded<Response: RegionResponse>(_ response: Response) throws -> Response {
        // Nothing changes for raw data outside of API V2.
        var same = response
        try KeyCodec.v1(.raw).decode(&same)
        #expect(same.isEqualTo(message: response))
        var decoded = response
        try Samples.codec().decode(&decoded)
        return decoded
    }

    // MARK: - Region errors

    private let regions = [
        CodecSamples.region(1, CodecSamples.prefix, CodecSamples.end),
        CodecSamples.region(2, CodecSamples.previousPrefix, CodecSamples.end + [0]),
        CodecSamples.region(3, CodecSamples.previousPrefix, CodecSamples.prefix + [0x62]),
        CodecSamples.region(4, CodecSamples.prefix + [0x61], CodecSamples.prefix + [0x62]),
        // Outside, on either side.
        CodecSamples.region(5, CodecSamples.previousPrefix, CodecSamples.prefix),
        CodecSamples.region(6, CodecSamples.end, CodecSamples.end + [0]),
        CodecSamples.region(7, nil, nil),
    ]

    @Test func regionsOfEpochNotMatchAreCutOrDropped() throws {
        let response = try self.decoded(
            Kvrpcpb_RawGetResponse.with { $0.regionError.epochNotMatch.currentRegions = self.regions })
        let found = response.regionError.epochNotMatch.currentRegions
        #expect(found.map(\.id) == [1, 2, 3, 4, 7])
        #expect(found.map { [UInt8]($0.startKey) } == [[], [], [], [0x61], []])
        #expect(found.map { [UInt8]($0.endKey) } == [[], [], [0x62], [0x62], []])
    }

    @Test func boundsInErrorsOfTransactionsOfV1AreDecodedToo() throws {
        var response = Kvrpcpb_GetResponse.with {
            $0.regionError.epochNotMatch.currentRegions = [Samples.region(1, [1], nil)]
            $0.regionError.keyNotInRegion.key = Data([1])
            $0.regionError.keyNotInRegion.startKey = Samples.bound([2])
        }
        try KeyCodec.v1(.transaction).decode(&response)
        #expect(response.regionError.epochNotMatch.currentRegions[0].startKey == Data([1]))
        #expect(response.regionError.keyNotInRegion.key == Data([1]))
        #expect(response.regionError.keyNotInRegion.startKey == Data([2]))
    }

    @Test func keysOfOtherRegionErrorsAreDecoded() throws {
        let response = try self.decoded(
            Kvrpcpb_RawPutResponse.with {
                $0.regionError.keyNotInRegion.key = Samples.encoded("k")
                $0.regionError.keyNotInRegion.startKey = Samples.bound(Samples.prefix + [0x61])
                $0.regionError.keyNotInRegion.endKey = Samples.bound(Samples.end)
                $0.regionError.bucketVersionNotMatch.keys = [Samples.bound(Samples.prefix + [0x61]), Data()]
            })
        #expect(response.regionError.keyNotInRegion.key == Samples.key("k"))
        #expect(response.regionError.keyNotInRegion.startKey == Samples.key("a"))
        #expect(response.regionError.keyNotInRegion.endKey == Data())
        #expect(response.regionError.bucketVersionNotMatch.keys == [Samples.key("a"), Data()])
    }

    @Test func anAnswerFromAnotherKeyspaceIsAnError() throws {
        var response = Kvrpcpb_RawScanResponse.with { $0.kvs = [.with { $0.key = Data([0x72, 0, 0, 0, 1]) }] }
        let codec = try Samples.codec()
        #expect(throws: KeyCodecError.outsideOfKeyspace) { try codec.decode(&response) }
    }

    // MARK: - Errors about keys

    private let keyError = Kvrpcpb_KeyError.with {
        $0.locked = CodecSamples.lock("locked")
        $0.conflict.key = CodecSamples.encoded("conflict")
        $0.conflict.primary = CodecSamples.encoded("conflict primary")
        $0.alreadyExist.key = CodecSamples.encoded("exists")
        $0.deadlock.lockKey = CodecSamples.encoded("lock")
        $0.deadlock.deadlockKey = CodecSamples.encoded("deadlock")
        $0.deadlock.waitChain = [.with { $0.key = CodecSamples.encoded("waited") }]
        $0.commitTsExpired.key = CodecSamples.encoded("expired")
        $0.txnNotFound.primaryKey = CodecSamples.encoded("not found")
        $0.assertionFailed.key = CodecSamples.encoded("assertion")
        $0.primaryMismatch.lockInfo = CodecSamples.lock("mismatch")
        $0.txnLockNotFound.key = CodecSamples.encoded("no lock")
        $0.lockUpgradeConflict.key = CodecSamples.encoded("upgrade")
        $0.sharedLockLost.key = CodecSamples.encoded("lost")
        $0.debugInfo.mvccInfo = [
            .with {
                $0.key = CodecSamples.encoded("debug")
                $0.mvcc.lock.primary = CodecSamples.encoded("debug primary")
                $0.mvcc.lock.secondaries = [CodecSamples.encoded("debug secondary")]
            }
        ]
    }

    private let decodedKeyError = Kvrpcpb_KeyError.with {
        $0.locked = CodecSamples.decodedLock("locked")
        $0.conflict.key = CodecSamples.key("conflict")
        $0.conflict.primary = CodecSamples.key("conflict primary")
        $0.alreadyExist.key = CodecSamples.key("exists")
        $0.deadlock.lockKey = CodecSamples.key("lock")
        $0.deadlock.deadlockKey = CodecSamples.key("deadlock")
        $0.deadlock.waitChain = [.with { $0.key = CodecSamples.key("waited") }]
        $0.commitTsExpired.key = CodecSamples.key("expired")
        $0.txnNotFound.primaryKey = CodecSamples.key("not found")
        $0.assertionFailed.key = CodecSamples.key("assertion")
        $0.primaryMismatch.lockInfo = CodecSamples.decodedLock("mismatch")
        $0.txnLockNotFound.key = CodecSamples.key("no lock")
        $0.lockUpgradeConflict.key = CodecSamples.key("upgrade")
        $0.sharedLockLost.key = CodecSamples.key("lost")
        $0.debugInfo.mvccInfo = [
            .with {
                $0.key = CodecSamples.key("debug")
                $0.mvcc.lock.primary = CodecSamples.key("debug primary")
                $0.mvcc.lock.secondaries = [CodecSamples.key("debug secondary")]
            }
        ]
    }

    private let regionError = Errorpb_Error.with {
        $0.epochNotMatch.currentRegions = [CodecSamples.region(4, CodecSamples.prefix + [0x61], CodecSamples.end)]
    }

    private let decodedRegionError = Errorpb_Error.with {
        $0.epochNotMatch.currentRegions = [
            .with {
                $0.id = 4
                $0.startKey = CodecSamples.key("a")
            }
        ]
    }

    @Test func keysInErrorsLoseTheirPrefixEverywhere() throws {
        #expect(try Samples.codec().decode(self.keyError) == self.decodedKeyError)
        #expect(try KeyCodec.v1(.transaction).decode(self.keyError) == self.keyError)
    }

    @Test func errorsOfEachAnswerAreDecoded() throws {
        let (error, expected) = (self.keyError, self.decodedKeyError)
        #expect(try self.decoded(Kvrpcpb_GetResponse.with { $0.error = error }).error == expected)
        #expect(try self.decoded(Kvrpcpb_ScanResponse.with { $0.error = error }).error == expected)
        #expect(try self.decoded(Kvrpcpb_BatchGetResponse.with { $0.error = error }).error == expected)
        #expect(try self.decoded(Kvrpcpb_PrewriteResponse.with { $0.errors = [error] }).errors == [expected])
        #expect(try self.decoded(Kvrpcpb_CommitResponse.with { $0.error = error }).error == expected)
        #expect(try self.decoded(Kvrpcpb_CleanupResponse.with { $0.error = error }).error == expected)
        #expect(try self.decoded(Kvrpcpb_BatchRollbackResponse.with { $0.error = error }).error == expected)
        #expect(try self.decoded(Kvrpcpb_ResolveLockResponse.with { $0.error = error }).error == expected)
        #expect(try self.decoded(Kvrpcpb_GCResponse.with { $0.error = error }).error == expected)
        #expect(try self.decoded(Kvrpcpb_PessimisticLockResponse.with { $0.errors = [error] }).errors == [expected])
        #expect(
            try self.decoded(Kvrpcpb_PessimisticRollbackResponse.with { $0.errors = [error] }).errors == [expected])
        #expect(try self.decoded(Kvrpcpb_TxnHeartBeatResponse.with { $0.error = error }).error == expected)
        let status = try self.decoded(
            Kvrpcpb_CheckTxnStatusResponse.with {
                $0.error = error
                $0.lockInfo = Samples.lock("k")
            })
        #expect(status.error == expected)
        #expect(status.lockInfo == Samples.decodedLock("k"))
        let secondaries = try self.decoded(
            Kvrpcpb_CheckSecondaryLocksResponse.with {
                $0.error = error
                $0.locks = [Samples.lock("k")]
            })
        #expect(secondaries.error == expected)
        #expect(secondaries.locks == [Samples.decodedLock("k")])
        let locks = try self.decoded(
            Kvrpcpb_ScanLockResponse.with {
                $0.error = error
                $0.locks = [Samples.lock("k")]
            })
        #expect(locks.error == expected)
        #expect(locks.locks == [Samples.decodedLock("k")])
    }

    @Test func answersOfPipelinedTransactionsAreDecoded() throws {
        let flush = try self.decoded(
            Kvrpcpb_FlushResponse.with {
                $0.regionError = self.regionError
                $0.errors = [self.keyError]
            })
        #expect(flush.regionError == self.decodedRegionError)
        #expect(flush.errors == [self.decodedKeyError])
        let read = try self.decoded(
            Kvrpcpb_BufferBatchGetResponse.with {
                $0.regionError = self.regionError
                $0.error = self.keyError
                $0.pairs = [
                    .with {
                        $0.key = Samples.encoded("k")
                        $0.value = Samples.encoded("a value is no key")
                    }, .with { $0.error = self.keyError },
                ]
            })
        #expect(read.regionError == self.decodedRegionError)
        #expect(read.error == self.decodedKeyError)
        #expect(read.pairs[0].key == Samples.key("k"))
        #expect(read.pairs[0].value == Samples.encoded("a value is no key"))
        #expect(read.pairs[1].error == self.decodedKeyError)
        #expect(read.pairs[1].key.isEmpty)
    }

    @Test func pairsOfRawDataAreDecoded() throws {
        let pair = Kvrpcpb_KvPair.with {
            $0.key = Samples.encoded("k")
            $0.value = Samples.key("v")
        }
        #expect(
            try self.decoded(Kvrpcpb_RawBatchGetResponse.with { $0.pairs = [pair] }).pairs[0].key == Samples.key("k"))
        #expect(try self.decoded(Kvrpcpb_RawScanResponse.with { $0.kvs = [pair] }).kvs[0].key == Samples.key("k"))
        #expect(try self.decoded(Kvrpcpb_RawBatchScanResponse.with { $0.kvs = [pair] }).kvs[0].key == Samples.key("k"))
    }

    @Test func answersForDebuggingAndMaintenanceAreDecoded() throws {
        let codec = try Samples.codec()
        var observed = Kvrpcpb_CheckLockObserverResponse.with { $0.locks = [Samples.lock("k")] }
        try observed.decodeKeys(with: codec)
        #expect(observed.locks == [Samples.decodedLock("k")])
        var physical = Kvrpcpb_PhysicalScanLockResponse.with { $0.locks = [Samples.lock("k")] }
        try physical.decodeKeys(with: codec)
        #expect(physical.locks == [Samples.decodedLock("k")])
        let waits = try self.decoded(
            Kvrpcpb_GetLockWaitInfoResponse.with {
                $0.regionError = self.regionError
                $0.entries = [.with { $0.key = Samples.encoded("k") }]
            })
        #expect(waits.regionError == self.decodedRegionError)
        #expect(waits.entries[0].key == Samples.key("k"))
        let byKey = try self.decoded(
            Kvrpcpb_MvccGetByKeyResponse.with {
                $0.regionError = self.regionError
                $0.info.lock.primary = Samples.encoded("p")
                $0.info.lock.secondaries = [Samples.encoded("s")]
            })
        #expect(byKey.regionError == self.decodedRegionError)
        #expect(byKey.info.lock.primary == Samples.key("p"))
        #expect(byKey.info.lock.secondaries == [Samples.key("s")])
        let byTimestamp = try self.decoded(
            Kvrpcpb_MvccGetByStartTsResponse.with {
                $0.key = Samples.encoded("k")
                $0.info.lock.primary = Samples.encoded("p")
            })
        #expect(byTimestamp.key == Samples.key("k"))
        #expect(byTimestamp.info.lock.primary == Samples.key("p"))
        #expect(
            try self.decoded(Kvrpcpb_FlashbackToVersionResponse.with { $0.regionError = self.regionError }).regionError
                == self.decodedRegionError)
        #expect(
            try self.decoded(Kvrpcpb_PrepareFlashbackToVersionResponse.with { $0.regionError = self.regionError })
                .regionError == self.decodedRegionError)
        var compacted = Kvrpcpb_CompactResponse.with { $0.compactedStartKey = Samples.key("row") }
        try compacted.decodeKeys(with: codec)
        #expect(compacted.compactedStartKey == Samples.key("row"))
    }

    @Test func partsOfASplitRegionAreCut() throws {
        let response = try self.decoded(
            Kvrpcpb_SplitRegionResponse.with {
                $0.regions = self.regions
                $0.left = self.regions[2]
                $0.right = self.regions[3]
            })
        #expect(response.regions.map(\.id) == [1, 2, 3, 4, 7])
        #expect(response.left.endKey == Samples.key("b"))
        #expect(response.right.startKey == Samples.key("a"))
        // Bounds are encoded for transactions outside of API V2, too.
        var v1 = Kvrpcpb_SplitRegionResponse.with { $0.regions = [Samples.region(1, [1], [2])] }
        try KeyCodec.v1(.transaction).decode(&v1)
        #expect(v1.regions[0].startKey == Data([1]) && v1.regions[0].endKey == Data([2]))
    }

    @Test func answersOfTheCoprocessorAreDecoded() throws {
        let response = try self.decoded(
            Coprocessor_Response.with {
                $0.regionError = self.regionError
                $0.locked = Samples.lock("k")
                $0.range.start = Data(Samples.prefix)
                $0.range.end = Samples.encoded("b")
                $0.batchResponses = [.with { $0.locked = Samples.lock("t") }]
            })
        #expect(response.regionError == self.decodedRegionError)
        #expect(response.locked == Samples.decodedLock("k"))
        #expect(response.range.start.isEmpty && response.range.end == Samples.key("b"))
        #expect(response.batchResponses[0].locked == Samples.decodedLock("t"))
        // Answers of MPP tasks have no ranges, but may name regions to ask again.
        var task = Mpp_DispatchTaskResponse.with { $0.retryRegions = self.regions }
        try task.decodeKeys(with: try Samples.codec())
        #expect(task.retryRegions.map(\.id) == [1, 2, 3, 4, 7])
    }

    // MARK: - Keys that aren't there

    @Test func keysThatAreNotThereStayAway() throws {
        let info = Kvrpcpb_MvccInfo.with {
            $0.lock.startTs = 5
            $0.lock.secondaries = [Data(), Samples.encoded("s")]
        }
        let decoded = try Samples.codec().decode(info)
        #expect(decoded.lock.primary.isEmpty)
        #expect(decoded.lock.secondaries == [Data(), Samples.key("s")])
        #expect(decoded.lock.startTs == 5)
        let none = Kvrpcpb_MvccInfo.with { $0.writes = [.with { $0.startTs = 1 }] }
        #expect(try Samples.codec().decode(none) == none)
    }
}
