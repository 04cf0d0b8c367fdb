// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

// What is a key in the requests of transactions.

extension Kvrpcpb_GetRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.key = codec.encode(self.key)
    }
}

extension Kvrpcpb_BatchGetRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.keys = codec.encode(self.keys)
    }
}

extension Kvrpcpb_ScanRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        (self.startKey, self.endKey) = codec.encode(
            start: self.startKey, end: self.endKey, isReversed: self.reverse)
    }
}

extension Kvrpcpb_PrewriteRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.mutations = codec.encode(self.mutations)
        self.primaryLock = codec.encode(self.primaryLock)
        self.secondaries = codec.encode(self.secondaries)
    }
}

extension Kvrpcpb_CommitRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.keys = codec.encode(self.keys)
        // Without one, the store is not told the primary key.
        self.primaryKey = codec.encodeIfPresent(self.primaryKey)
    }
}

extension Kvrpcpb_CleanupRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.key = codec.encode(self.key)
    }
}

extension Kvrpcpb_BatchRollbackRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.keys = codec.encode(self.keys)
    }
}

extension Kvrpcpb_ScanLockRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        (self.startKey, self.endKey) = codec.encode(start: self.startKey, end: self.endKey)
    }
}

extension Kvrpcpb_ResolveLockRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.keys = codec.encode(self.keys)
    }
}

extension Kvrpcpb_GCRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {}
}

extension Kvrpcpb_DeleteRangeRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        (self.startKey, self.endKey) = codec.encode(start: self.startKey, end: self.endKey)
    }
}

extension Kvrpcpb_PessimisticLockRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.mutations = codec.encode(self.mutations)
        self.primaryLock = codec.encode(self.primaryLock)
    }
}

extension Kvrpcpb_PessimisticRollbackRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.keys = codec.encode(self.keys)
    }
}

extension Kvrpcpb_TxnHeartBeatRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.primaryLock = codec.encode(self.primaryLock)
    }
}

extension Kvrpcpb_CheckTxnStatusRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.primaryKey = codec.encode(self.primaryKey)
    }
}

extension Kvrpcpb_CheckSecondaryLocksRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.keys = codec.encode(self.keys)
    }
}

extension Kvrpcpb_FlushRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.mutations = codec.encode(self.mutations)
        self.primaryKey = codec.encodeIfPresent(self.primaryKey)
    }
}

extension Kvrpcpb_BufferBatchGetRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.keys = codec.encode(self.keys)
    }
}

extension Kvrpcpb_FlashbackToVersionRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        (self.startKey, self.endKey) = codec.encode(start: self.startKey, end: self.endKey)
    }
}

extension Kvrpcpb_PrepareFlashbackToVersionRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        (self.startKey, self.endKey) = codec.encode(start: self.startKey, end: self.endKey)
    }
}
