// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// What stores read to answer requests.
public struct ScanDetail: Sendable, Hashable {
    /// Versions of keys that were of use.
    public var processedVersions: UInt64 = 0
    /// Bytes of their keys and values.
    public var processedBytes: UInt64 = 0
    /// Versions that were looked at.
    public var totalVersions: UInt64 = 0
    /// Bytes of all versions that were looked at.
    public var totalBytes: UInt64 = 0
    /// Deletions that RocksDB stepped over.
    public var skippedDeletes: UInt64 = 0
    /// Keys that RocksDB stepped over.
    public var skippedKeys: UInt64 = 0
    /// Blocks that were in RocksDB's cache.
    public var cachedBlocks: UInt64 = 0
    /// Blocks that were read from disk.
    public var readBlocks: UInt64 = 0
    /// Bytes of these.
    public var readBlockBytes: UInt64 = 0
    /// Time for reading these.
    public var readBlockTime = Duration.zero
    /// Time until a snapshot of the engine was there.
    public var snapshotTime = Duration.zero
    /// Of it, until the read index was proposed.
    public var readIndexProposeWait = Duration.zero
    /// Of it, until the read index was confirmed.
    public var readIndexConfirmWait = Duration.zero
    /// Of it, until the read pool took the request.
    public var readPoolScheduleWait = Duration.zero
    /// Hits in the cache of remote storage.
    public var remoteCacheHits: UInt64 = 0
    /// Segments that were read from remote storage.
    public var remoteSegments: UInt64 = 0
    /// Bytes of these.
    public var remoteSegmentBytes: UInt64 = 0
    /// Time for reading these.
    public var remoteSegmentTime = Duration.zero

    /// Nothing yet.
    public init() {}

    init(_ scan: Kvrpcpb_ScanDetailV2) {
        self.processedVersions = scan.processedVersions
        self.processedBytes = scan.processedVersionsSize
        self.totalVersions = scan.totalVersions
        self.totalBytes = scan.totalVersionsSize
        self.skippedDeletes = scan.rocksdbDeleteSkippedCount
        self.skippedKeys = scan.rocksdbKeySkippedCount
        self.cachedBlocks = scan.rocksdbBlockCacheHitCount
        self.readBlocks = scan.rocksdbBlockReadCount
        self.readBlockBytes = scan.rocksdbBlockReadByte
        self.readBlockTime = .nanoseconds(scan.rocksdbBlockReadNanos)
        self.snapshotTime = .nanoseconds(scan.getSnapshotNanos)
        self.readIndexProposeWait = .nanoseconds(scan.readIndexProposeWaitNanos)
        self.readIndexConfirmWait = .nanoseconds(scan.readIndexConfirmWaitNanos)
        self.readPoolScheduleWait = .nanoseconds(scan.readPoolScheduleWaitNanos)
        self.remoteCacheHits = scan.iaCacheHitCount
        self.remoteSegments = scan.iaRemoteReadSegmentCount
        self.remoteSegmentBytes = scan.iaRemoteReadSegmentBytes
        self.remoteSegmentTime = .nanoseconds(scan.iaRemoteReadSegmentNanos)
    }

    /// Adds those of another answer.
    public mutating func merge(_ other: ScanDetail) {
        self.processedVersions &+= other.processedVersions
        self.processedBytes &+= other.processedBytes
        self.totalVersions &+= other.totalVersions
        self.totalBytes &+= other.totalBytes
        self.skippedDeletes &+= other.skippedDeletes
        self.skippedKeys &+= other.skippedKeys
        self.cachedBlocks &+= other.cachedBlocks
        self.readBlocks &+= other.readBlocks
        self.readBlockBytes &+= other.readBlockBytes
        self.readBlockTime += other.readBlockTime
        self.snapshotTime += other.snapshotTime
        self.readIndexProposeWait += other.readIndexProposeWait
        self.readIndexConfirmWait += other.readIndexConfirmWait
        self.readPoolScheduleWait += other.readPoolScheduleWait
        self.remoteCacheHits &+= other.remoteCacheHits
        self.remoteSegments &+= other.remoteSegments
        self.remoteSegmentBytes &+= other.remoteSegmentBytes
        self.remoteSegmentTime += other.remoteSegmentTime
    }
}

extension ScanDetail: CustomStringConvertible {
    /// What is not zero, by TiKV's names and with units.
    public var description: String {
        var text = DetailText()
        text.add("total_process_keys", self.processedVersions)
        text.add("total_process_keys_size", self.processedBytes)
        text.add("total_keys", self.totalVersions)
        text.add("total_keys_size", self.totalBytes)
        text.add("delete_skipped_count", self.skippedDeletes)
        text.add("key_skipped_count", self.skippedKeys)
        text.add("cache_hit_count", self.cachedBlocks)
        text.add("read_count", self.readBlocks)
        text.add("read_byte", self.readBlockBytes)
        text.add("read_time", self.readBlockTime)
        text.add("get_snapshot_time", self.snapshotTime)
        text.add("read_index_propose_wait_time", self.readIndexProposeWait)
        text.add("read_index_confirm_wait_time", self.readIndexConfirmWait)
        text.add("read_pool_schedule_wait_time", self.readPoolScheduleWait)
        text.add("ia_cache_hit_count", self.remoteCacheHits)
        text.add("ia_remote_read_segment_count", self.remoteSegments)
        text.add("ia_remote_read_segment_bytes", self.remoteSegmentBytes)
        text.add("ia_remote_read_segment_time", self.remoteSegmentTime)
        return text.text
    }
}
