// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// How long one try of a request may take before another replica, or the same one again, is asked.
enum Patience: Sendable {
    case short
    /// It may have to look at a whole region.
    case long
    case coprocessor
}

// Those that are not short.

extension Kvrpcpb_BatchGetRequest {
    static var patience: Patience { .long }
}

extension Kvrpcpb_BufferBatchGetRequest {
    static var patience: Patience { .long }
}

extension Kvrpcpb_ScanRequest {
    static var patience: Patience { .long }
}

extension Kvrpcpb_ScanLockRequest {
    static var patience: Patience { .long }
}

extension Kvrpcpb_DeleteRangeRequest {
    static var patience: Patience { .long }
}

extension Kvrpcpb_GCRequest {
    static var patience: Patience { .long }
}

extension Kvrpcpb_UnsafeDestroyRangeRequest {
    static var patience: Patience { .long }
}

extension Kvrpcpb_PhysicalScanLockRequest {
    static var patience: Patience { .long }
}

extension Kvrpcpb_RawScanRequest {
    static var patience: Patience { .long }
}

extension Kvrpcpb_RawBatchScanRequest {
    static var patience: Patience { .long }
}

extension Kvrpcpb_RawDeleteRangeRequest {
    static var patience: Patience { .long }
}

extension Kvrpcpb_RawChecksumRequest {
    static var patience: Patience { .long }
}

extension Kvrpcpb_RawCoprocessorRequest {
    static var patience: Patience { .coprocessor }
}

extension Coprocessor_Request {
    static var patience: Patience { .coprocessor }
}

extension Coprocessor_BatchRequest {
    static var patience: Patience { .coprocessor }
}

// Writes that wait for others: a store gives them up before their sender does, so that they don't hold up more.

extension Kvrpcpb_PrewriteRequest {
    static var endsWithItsSender: Bool { true }
}

extension Kvrpcpb_CommitRequest {
    static var endsWithItsSender: Bool { true }
}

extension Kvrpcpb_PessimisticLockRequest {
    static var endsWithItsSender: Bool { true }
}

extension Kvrpcpb_FlushRequest {
    static var endsWithItsSender: Bool { true }
}

extension Kvrpcpb_RawBatchPutRequest {
    static var endsWithItsSender: Bool { true }
}
