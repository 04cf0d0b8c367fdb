// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

/// A request for one region.
protocol RegionRequest: Message {
    var context: Kvrpcpb_Context { get }
}

/// An answer that may be a region error.
protocol RegionResponse: Message {
    var regionError: Errorpb_Error { get set }
    /// Says what is wrong with the request itself.
    mutating func setError(_ text: String)
}

extension RegionResponse {
    init(_ error: StorageError) {
        self.init()
        switch error {
        case .region(let error): self.regionError = error.proto
        case .request(let text): self.setError(text)
        }
    }
}

/// The usual answer, with a text of its own for errors.
protocol TextErrorResponse: RegionResponse {
    var error: String { get set }
}

extension TextErrorResponse {
    mutating func setError(_ text: String) {
        self.error = text
    }
}

/// An answer of pairs, of which one may be an error.
protocol PairsResponse: RegionResponse {
    init(pairs: [Kvrpcpb_KvPair])
}

extension PairsResponse {
    mutating func setError(_ text: String) {
        self = Self(pairs: [.with { $0.error.abort = text }])
    }
}

extension Kvrpcpb_RawGetRequest: RegionRequest {}
extension Kvrpcpb_RawBatchGetRequest: RegionRequest {}
extension Kvrpcpb_RawPutRequest: RegionRequest {}
extension Kvrpcpb_RawBatchPutRequest: RegionRequest {}
extension Kvrpcpb_RawDeleteRequest: RegionRequest {}
extension Kvrpcpb_RawBatchDeleteRequest: RegionRequest {}
extension Kvrpcpb_RawScanRequest: RegionRequest {}
extension Kvrpcpb_RawBatchScanRequest: RegionRequest {}
extension Kvrpcpb_RawDeleteRangeRequest: RegionRequest {}
extension Kvrpcpb_RawGetKeyTTLRequest: RegionRequest {}
extension Kvrpcpb_RawCASRequest: RegionRequest {}
extension Kvrpcpb_RawChecksumRequest: RegionRequest {}
extension Kvrpcpb_RawCoprocessorRequest: RegionRequest {}
extension Kvrpcpb_SplitRegionRequest: RegionRequest {}

extension Kvrpcpb_RawGetResponse: TextErrorResponse {}
extension Kvrpcpb_RawPutResponse: TextErrorResponse {}
extension Kvrpcpb_RawBatchPutResponse: TextErrorResponse {}
extension Kvrpcpb_RawDeleteResponse: TextErrorResponse {}
extension Kvrpcpb_RawBatchDeleteResponse: TextErrorResponse {}
extension Kvrpcpb_RawDeleteRangeResponse: TextErrorResponse {}
extension Kvrpcpb_RawGetKeyTTLResponse: TextErrorResponse {}
extension Kvrpcpb_RawCASResponse: TextErrorResponse {}
extension Kvrpcpb_RawChecksumResponse: TextErrorResponse {}
extension Kvrpcpb_RawCoprocessorResponse: TextErrorResponse {}

extension Kvrpcpb_RawBatchGetResponse: PairsResponse {
    init(pairs: [Kvrpcpb_KvPair]) {
        self.init()
        self.pairs = pairs
    }
}

extension Kvrpcpb_RawScanResponse: PairsResponse {
    init(pairs: [Kvrpcpb_KvPair]) {
        self.init()
        self.kvs = pairs
    }
}

extension Kvrpcpb_RawBatchScanResponse: PairsResponse {
    init(pairs: [Kvrpcpb_KvPair]) {
        self.init()
        self.kvs = pairs
    }
}

extension Kvrpcpb_SplitRegionResponse: RegionResponse {
    mutating func setError(_ text: String) {
        self.regionError.message = text
    }
}

extension RequestTarget {
    init(_ context: Kvrpcpb_Context) {
        let peer = context.peer
        self.init(regionID: context.regionID, peerID: peer.id, storeID: peer.storeID, epoch: nil)
        if context.hasRegionEpoch {
            let epoch = context.regionEpoch
            self.epoch = RegionEpoch(confVer: epoch.confVer, version: epoch.version)
        }
    }
}
