// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

/// A request to a region: its context names region, epoch and peer.
protocol RegionRequest: KeyedRequest {
    var context: Kvrpcpb_Context { get set }
    /// How long one try of it may take.
    static var patience: Patience { get }
    /// Whether a store is told to give it up when two thirds of that time are over.
    static var endsWithItsSender: Bool { get }
}

extension RegionRequest {
    static var patience: Patience { .short }
    static var endsWithItsSender: Bool { false }
}

/// An answer of a region: it may say that the request went to the wrong place, in which case nothing was done.
protocol RegionResponse: KeyedResponse {
    var hasRegionError: Bool { get }
    var regionError: Errorpb_Error { get set }
    /// Whether it says what it cost.
    var hasExecDetailsV2: Bool { get }
    var execDetailsV2: Kvrpcpb_ExecDetailsV2 { get }
    /// Which version the region's buckets have by now; 0 where it does not say.
    var latestBucketsVersion: UInt64 { get }
}

extension RegionResponse {
    var latestBucketsVersion: UInt64 { 0 }
    var hasExecDetailsV2: Bool { false }
    var execDetailsV2: Kvrpcpb_ExecDetailsV2 { Kvrpcpb_ExecDetailsV2() }
}

/// An answer whose own error is a text.
protocol RawResponse: RegionResponse {
    var error: String { get }
}
