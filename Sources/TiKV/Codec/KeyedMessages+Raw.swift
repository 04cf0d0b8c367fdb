// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

// What is a key in the requests and answers of raw data.

// MARK: - Requests

extension Kvrpcpb_RawGetRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.key = codec.encode(self.key)
    }
}

extension Kvrpcpb_RawBatchGetRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.keys = codec.encode(self.keys)
    }
}

extension Kvrpcpb_RawPutRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.key = codec.encode(self.key)
    }
}

extension Kvrpcpb_RawBatchPutRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.pairs = codec.encode(self.pairs)
    }
}

extension Kvrpcpb_RawDeleteRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.key = codec.encode(self.key)
    }
}

extension Kvrpcpb_RawBatchDeleteRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.keys = codec.encode(self.keys)
    }
}

extension Kvrpcpb_RawDeleteRangeRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        (self.startKey, self.endKey) = codec.encode(start: self.startKey, end: self.endKey)
    }
}

extension Kvrpcpb_RawScanRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        (self.startKey, self.endKey) = codec.encode(
            start: self.startKey, end: self.endKey, isReversed: self.reverse)
    }
}

extension Kvrpcpb_RawBatchScanRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        let isReversed = self.reverse
        self.ranges = self.ranges.map { codec.encode($0, isReversed: isReversed) }
    }
}

extension Kvrpcpb_RawGetKeyTTLRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.key = codec.encode(self.key)
    }
}

extension Kvrpcpb_RawCASRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.key = codec.encode(self.key)
    }
}

extension Kvrpcpb_RawChecksumRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.ranges = self.ranges.map { codec.encode($0) }
    }
}

extension Kvrpcpb_RawCoprocessorRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.ranges = self.ranges.map { codec.encode($0) }
    }
}

// MARK: - Answers

extension Kvrpcpb_RawGetResponse: RawResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

extension Kvrpcpb_RawPutResponse: RawResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

extension Kvrpcpb_RawBatchPutResponse: RawResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

extension Kvrpcpb_RawDeleteResponse: RawResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

extension Kvrpcpb_RawBatchDeleteResponse: RawResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

extension Kvrpcpb_RawDeleteRangeResponse: RawResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

extension Kvrpcpb_RawGetKeyTTLResponse: RawResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

extension Kvrpcpb_RawCASResponse: RawResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

extension Kvrpcpb_RawChecksumResponse: RawResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

extension Kvrpcpb_RawCoprocessorResponse: RawResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

extension Kvrpcpb_RawBatchGetResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.pairs = try codec.decode(self.pairs)
    }
}

extension Kvrpcpb_RawScanResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.kvs = try codec.decode(self.kvs)
    }
}

extension Kvrpcpb_RawBatchScanResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.kvs = try codec.decode(self.kvs)
    }
}
