// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

// What is a key in the answers to requests of transactions.

extension Kvrpcpb_GetResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        if self.hasError { self.error = try codec.decode(self.error) }
    }
}

extension Kvrpcpb_BatchGetResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.pairs = try codec.decode(self.pairs)
        if self.hasError { self.error = try codec.decode(self.error) }
    }
}

extension Kvrpcpb_ScanResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.pairs = try codec.decode(self.pairs)
        if self.hasError { self.error = try codec.decode(self.error) }
    }
}

extension Kvrpcpb_PrewriteResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.errors = try codec.decode(self.errors)
    }
}

extension Kvrpcpb_CommitResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        if self.hasError { self.error = try codec.decode(self.error) }
    }
}

extension Kvrpcpb_CleanupResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        if self.hasError { self.error = try codec.decode(self.error) }
    }
}

extension Kvrpcpb_BatchRollbackResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        if self.hasError { self.error = try codec.decode(self.error) }
    }
}

extension Kvrpcpb_ScanLockResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        if self.hasError { self.error = try codec.decode(self.error) }
        self.locks = try codec.decode(self.locks)
    }
}

extension Kvrpcpb_ResolveLockResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        if self.hasError { self.error = try codec.decode(self.error) }
    }
}

extension Kvrpcpb_GCResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        if self.hasError { self.error = try codec.decode(self.error) }
    }
}

extension Kvrpcpb_DeleteRangeResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

extension Kvrpcpb_PessimisticLockResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.errors = try codec.decode(self.errors)
    }
}

extension Kvrpcpb_PessimisticRollbackResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.errors = try codec.decode(self.errors)
    }
}

extension Kvrpcpb_TxnHeartBeatResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        if self.hasError { self.error = try codec.decode(self.error) }
    }
}

extension Kvrpcpb_CheckTxnStatusResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        if self.hasError { self.error = try codec.decode(self.error) }
        if self.hasLockInfo { self.lockInfo = try codec.decode(self.lockInfo) }
    }
}

extension Kvrpcpb_CheckSecondaryLocksResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        if self.hasError { self.error = try codec.decode(self.error) }
        self.locks = try codec.decode(self.locks)
    }
}

extension Kvrpcpb_FlushResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.errors = try codec.decode(self.errors)
    }
}

extension Kvrpcpb_BufferBatchGetResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.pairs = try codec.decode(self.pairs)
        if self.hasError { self.error = try codec.decode(self.error) }
    }
}

extension Kvrpcpb_FlashbackToVersionResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

extension Kvrpcpb_PrepareFlashbackToVersionResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}
