// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// What stores say that requests cost them, summed up over all their answers.
///
/// Stores tell it with the answers of transactional requests and of the coprocessor; raw requests have no place for it.
/// See ``RequestStatistics``.
public struct ExecutionDetails: Sendable, Hashable {
    /// Answers that said anything.
    public var answers = 0
    /// Times in the stores.
    public var time = TimeDetail()
    /// What was read.
    public var scan = ScanDetail()
    /// What it took to write.
    public var write = WriteDetail()
    /// How requests fared in the stores' read pools.
    public var readPool = PoolTaskDetail()

    /// Nothing yet.
    public init() {}

    init(_ details: Kvrpcpb_ExecDetailsV2) {
        self.answers = 1
        if details.hasTimeDetailV2 {
            self.time = TimeDetail(details.timeDetailV2)
        } else if details.hasTimeDetail {
            self.time = TimeDetail(details.timeDetail)
        }
        if details.hasScanDetailV2 { self.scan = ScanDetail(details.scanDetailV2) }
        if details.hasWriteDetail { self.write = WriteDetail(details.writeDetail) }
        if details.hasReadPoolTaskDetails { self.readPool = PoolTaskDetail(details.readPoolTaskDetails) }
    }

    /// Adds what another answer, or another part of the work, has cost.
    public mutating func merge(_ other: ExecutionDetails) {
        self.answers += other.answers
        self.time.merge(other.time)
        self.scan.merge(other.scan)
        self.write.merge(other.write)
        self.readPool.merge(other.readPool)
    }
}

extension ExecutionDetails: CustomStringConvertible {
    /// All that is not zero, with units.
    public var description: String {
        [self.time.description, self.scan.description, self.write.description, self.readPool.description]
            .filter { !$0.isEmpty }.joined(separator: ", ")
    }
}
