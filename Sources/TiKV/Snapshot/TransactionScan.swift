// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVWriteBuffer

/// The pairs of a range, read page by page as they are asked for.
///
/// Of a snapshot, see ``Snapshot/scan(_:limit:reversed:keysOnly:timeout:)``; of a transaction, with what it has written so
/// far, see ``Transaction/scan(_:limit:reversed:keysOnly:timeout:)``. Every iteration reads anew. Cancelling the task ends
/// it with ``TiKVError/Code/cancelled``; after an error the iteration is over.
public struct TransactionScan: AsyncSequence, Sendable {
    /// A key and its value; the value is empty in a scan of keys only.
    public typealias Element = KeyValue
    /// What an iteration throws.
    public typealias Failure = TiKVError

    let snapshot: Snapshot
    /// Whose writes are read too.
    let transaction: Transaction?
    let range: KeyRange
    let limit: Int?
    let isReversed: Bool
    let isKeysOnly: Bool
    let timeout: Duration?
    /// One pair in so many.
    var sampleStep = 1

    /// Starts reading at the beginning.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(scan: self)
    }

    /// Reads one page at a time, and none ahead.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let scan: TransactionScan
        private var pager: RawScanPager
        private var union: UnionCursor
        private var pairs: [UnionCursor.Pair] = []
        private var position = 0
        private var given = 0
        /// Which moment is read, once it is known.
        private var timestamp: UInt64?
        private var isBegun = false
        private var isOver = false

        init(scan: TransactionScan) {
            self.scan = scan
            self.pager = RawScanPager(
                range: scan.range, limit: nil, isReversed: scan.isReversed,
                pageSize: scan.pageSize, lastProbe: scan.snapshot.context.sender.cache.lastProbe)
            self.union = UnionCursor(
                from: scan.range.start.bytes, to: scan.range.end.isEmpty ? nil : scan.range.end.bytes,
                isReversed: scan.isReversed)
        }

        /// The next pair; nil at the end.
        public mutating func next() async throws(TiKVError) -> KeyValue? {
            try await self.next(isolation: #isolation)
        }

        /// The next pair; nil at the end.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(TiKVError) -> KeyValue? {
            while !self.isOver {
                if let limit = self.scan.limit, self.given >= limit, self.isBegun, limit >= 0 { break }
                if self.position < self.pairs.count {
                    let pair = self.pairs[self.position]
                    self.position += 1
                    self.given += 1
                    return (Key(pair.key), Value(self.scan.isKeysOnly ? [] : pair.value))
                }
                do throws(TiKVError) {
                    try await self.advance()
                } catch {
                    self.isOver = true
                    throw error
                }
            }
            self.isOver = true
            return nil
        }

        /// Gets the next pairs, which may be none.
        private mutating func advance() async throws(TiKVError) {
            if !self.isBegun {
                self.isBegun = true
                try RawClient.validate(self.scan.range)
                if let limit = self.scan.limit, limit < 0 {
                    throw TiKVError(.invalidArgument, "a limit must not be negative")
                }
                guard self.scan.sampleStep >= 1 else {
                    throw TiKVError(.invalidArgument, "a sample takes one pair in 1 or more")
                }
                guard self.scan.limit != 0 else { return }
                if self.pager.isFinished {
                    self.isOver = true
                    return
                }
            }
            self.position = 0
            guard let transaction = self.scan.transaction else {
                // Nothing to merge with.
                guard !self.pager.isFinished else {
                    self.isOver = true
                    return
                }
                self.pairs = try await self.page()
                return
            }
            let (union, pairs, state) = try await transaction.merge(self.union)
            self.union = union
            self.pairs = pairs
            switch state {
            case .more:
                break
            case .finished:
                if pairs.isEmpty { self.isOver = true }
            case .needsPage where pairs.isEmpty:
                let page = self.pager.isFinished ? [] : try await self.page()
                let bound = self.pager.isReversed ? self.pager.end : self.pager.start
                self.union.supply(page, knownTo: self.pager.isFinished ? nil : bound)
            case .needsPage:
                break
            }
        }

        private mutating func page() async throws(TiKVError) -> [UnionCursor.Pair] {
            let snapshot = self.scan.snapshot
            let deadline = snapshot.context.deadline(self.scan.timeout)
            let timestamp: UInt64
            if let known = self.timestamp {
                timestamp = known
            } else {
                // All pages are of one moment.
                timestamp = try await snapshot.moment(isPoint: false, deadline: deadline)
                self.timestamp = timestamp
            }
            return try await snapshot.page(
                &self.pager, at: timestamp, isKeysOnly: self.scan.isKeysOnly, sampleStep: self.scan.sampleStep,
                deadline: deadline
            ).map { UnionCursor.Pair(key: $0.key, value: $0.value) }
        }
    }

    /// What a page asks for: no more than is wanted in all, where nothing is merged into it.
    private var pageSize: Int {
        let size = self.snapshot.options.scanPageSize ?? self.snapshot.context.configuration.scanPageSize
        guard self.transaction == nil, let limit = self.limit else { return size }
        return Swift.max(1, Swift.min(size, limit))
    }
}
