// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

/// A request to a region: its context names region, epoch and peer.
protocol RegionRequest: Message {
    var context: Kvrpcpb_Context { get set }
}

/// An answer of a region: it may say that the request went to the wrong place, in which case nothing was done.
protocol RegionResponse: Message {
    var hasRegionError: Bool { get }
    var regionError: Errorpb_Error { get }
}

/// An answer whose own error is a text.
protocol RawResponse: RegionResponse {
    var error: String { get }
}

extension Kvrpcpb_RawGetRequest: RegionRequest {}
extension Kvrpcpb_RawGetResponse: RawResponse {}
extension Kvrpcpb_RawPutRequest: RegionRequest {}
extension Kvrpcpb_RawPutResponse: RawResponse {}
extension Kvrpcpb_RawDeleteRequest: RegionRequest {}
extension Kvrpcpb_RawDeleteResponse: RawResponse {}
extension Kvrpcpb_RawBatchGetRequest: RegionRequest {}
extension Kvrpcpb_RawBatchGetResponse: RegionResponse {}
extension Kvrpcpb_RawBatchPutRequest: RegionRequest {}
extension Kvrpcpb_RawBatchPutResponse: RawResponse {}
extension Kvrpcpb_RawBatchDeleteRequest: RegionRequest {}
extension Kvrpcpb_RawBatchDeleteResponse: RawResponse {}
extension Kvrpcpb_RawScanRequest: RegionRequest {}
extension Kvrpcpb_RawScanResponse: RegionResponse {}
extension Kvrpcpb_RawDeleteRangeRequest: RegionRequest {}
extension Kvrpcpb_RawDeleteRangeResponse: RawResponse {}
