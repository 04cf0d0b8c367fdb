// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

/// A request to a region: its context names region, epoch and peer.
protocol RegionRequest: KeyedRequest {
    var context: Kvrpcpb_Context { get set }
    /// What it shares with others that are the same: while one of them is under way, the others are not sent. Nil where each
    /// is to be sent.
    var collapseKey: CollapseKey? { get }
    /// How long one try of it may take.
    static var patience: Patience { get }
    /// Whether a store is told to give it up when two thirds of that time are over.
    static var endsWithItsSender: Bool { get }
}

extension RegionRequest {
    var collapseKey: CollapseKey? { nil }
    static var patience: Patience { .short }
    static var endsWithItsSender: Bool { false }
}

/// Tells requests apart that need not be sent side by side.
struct CollapseKey: Sendable, Hashable {
    var region: UInt64
    var start: UInt64
    var commit: UInt64
    /// Of asynchronous commits.
    var isAsync: Bool
}

extension Kvrpcpb_ResolveLockRequest {
    /// Many who meet the locks of one transaction have them removed at the same time. Those that name keys, or several
    /// transactions, are about other locks each.
    var collapseKey: CollapseKey? {
        guard self.keys.isEmpty, self.txnInfos.isEmpty else { return nil }
        return CollapseKey(
            region: self.context.regionID, start: self.startVersion, commit: self.commitVersion, isAsync: self.isAsync)
    }
}

/// An answer of a region: it may say that the request went to the wrong place, in which case nothing was done.
protocol RegionResponse: KeyedResponse {
    var hasRegionError: Bool { get }
    var regionError: Errorpb_Error { get set }
    /// Whether it says what it cost.
    var hasExecDetailsV2: Bool { get }
    var execDetailsV2: Kvrpcpb_ExecDetailsV2 { get }
}

extension RegionResponse {
    var hasExecDetailsV2: Bool { false }
    var execDetailsV2: Kvrpcpb_ExecDetailsV2 { Kvrpcpb_ExecDetailsV2() }
}

/// An answer whose own error is a text.
protocol RawResponse: RegionResponse {
    var error: String { get }
}
