// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension RawClient {
    /// The pairs of a range, in order.
    ///
    /// ```swift
    /// for try await (key, value) in client.scan("user/"..<"user0", limit: 100) { … }
    /// ```
    ///
    /// Nothing is asked of TiKV before the first pair is; then it comes page by page
    /// (``ClientConfiguration/Raw/scanPageSize``), region by region. The scan is no snapshot: what is written meanwhile may
    /// be in it or not.
    ///
    /// - Parameters:
    ///   - range: the keys. An empty range gives nothing; one whose end lies before its start is an error.
    ///   - limit: how many pairs at most; nil for all of them, 0 for none; less is an error.
    ///   - reversed: from the end of the range to its start.
    ///   - keysOnly: leaves the values empty and unread.
    ///   - columnFamily: where to look; the client's own by default.
    ///   - timeout: the time for each page; the client's own by default.
    /// - Returns: a sequence that throws ``TiKVError``; an error of the arguments comes with the first pair asked for.
    public func scan(
        _ range: KeyRange, limit: Int? = nil, reversed: Bool = false, keysOnly: Bool = false,
        columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) -> RawScan {
        RawScan(
            client: self, range: range, limit: limit, isReversed: reversed, isKeysOnly: keysOnly,
            columnFamily: columnFamily, timeout: self.timeout(timeout))
    }
}

/// The pairs of a range, read page by page as they are asked for. See ``RawClient/scan(_:limit:reversed:keysOnly:columnFamily:timeout:)``.
///
/// Every iteration reads anew. Cancelling the task ends it with ``TiKVError/Code/cancelled``; after an error the iteration is
/// over.
public struct RawScan: AsyncSequence, Sendable {
    /// A key and its value; the value is empty in a scan of keys only.
    public typealias Element = KeyValue
    /// What an iteration throws.
    public typealias Failure = TiKVError

    let client: RawClient
    let range: KeyRange
    let limit: Int?
    let isReversed: Bool
    let isKeysOnly: Bool
    let columnFamily: ColumnFamily?
    let timeout: Duration

    /// Starts reading at the beginning.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(scan: self)
    }

    /// Reads one page at a time, and none ahead.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let scan: RawScan
        private var pager: RawScanPager
        private var page: [Kvrpcpb_KvPair] = []
        private var position = 0
        private var isBegun = false
        private var isOver = false

        init(scan: RawScan) {
            self.scan = scan
            self.pager = RawScanPager(
                range: scan.range, limit: scan.limit, isReversed: scan.isReversed,
                pageSize: scan.client.configuration.scanPageSize, lastProbe: scan.client.core.sender.cache.lastProbe)
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
                if self.position < self.page.count {
                    let pair = self.page[self.position]
                    self.position += 1
                    return (Key(pair.key), Value(pair.value))
                }
                do throws(TiKVError) {
                    try self.begin()
                    if self.pager.isFinished {
                        self.isOver = true
                    } else {
                        self.page = try await self.scan.fetch(&self.pager)
                        self.position = 0
                    }
                } catch {
                    self.isOver = true
                    throw error
                }
            }
            return nil
        }

        private mutating func begin() throws(TiKVError) {
            guard !self.isBegun else { return }
            self.isBegun = true
            try RawClient.validate(self.scan.range)
            if let limit = self.scan.limit, limit < 0 {
                throw TiKVError(.invalidArgument, "a limit must not be negative")
            }
        }
    }

    /// Reads the next page, which may be empty where a region is.
    fileprivate func fetch(_ pager: inout RawScanPager) async throws(TiKVError) -> [Kvrpcpb_KvPair] {
        let sender = self.client.core.sender
        let family = try self.client.wireName(self.columnFamily)
        var call = try await sender.begin(timeout: self.timeout, isWrite: false)
        defer { sender.lifecycle.end() }
        while true {
            let region =
                pager.isReversed
                ? try await sender.locate(before: pager.end, &call)
                : try await sender.locate(startOf: KeySpan(start: pager.start, end: pager.end), &call)
            let page = pager.page(from: region)
            var request = Kvrpcpb_RawScanRequest()
            request.startKey = Data(page.startKey)
            request.endKey = Data(page.endKey)
            request.limit = UInt32(page.limit)
            request.reverse = pager.isReversed
            request.keyOnly = self.isKeysOnly
            request.cf = family
            guard let response = try await sender.deliver(TikvpbTikvRPC.rawScan, &request, to: region, &call) else {
                continue
            }
            try RawClient.check(response.kvs)
            pager.received(
                count: response.kvs.count, lastKey: response.kvs.last.map { [UInt8]($0.key) }, page: page,
                region: region)
            return response.kvs
        }
    }
}
