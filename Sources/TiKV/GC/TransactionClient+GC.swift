// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

extension TransactionClient {
    /// Lets the stores collect old versions: ends all transactions that began before a timestamp, then tells PD.
    ///
    /// Clusters that a TiDB uses do this by themselves; call it, now and then, where none does. What began before the
    /// timestamp fails with ``TiKVError/Code/gcTooEarly`` afterwards, and old versions that only such readers could see go
    /// away some time later.
    ///
    /// - Parameters:
    ///   - timestamp: the safe point: usually one of some minutes ago, as long as transactions may take.
    ///   - concurrency: regions whose locks are removed at once; at least 1.
    ///   - timeout: the time for PD's answers; ``ClientConfiguration/requestTimeout`` by default. Each region has 100 s.
    /// - Returns: how far garbage collection has come now: not as far as asked for where others, such as backups, keep
    ///   old data with PD.
    /// - Throws: ``TiKVError``; PD is told of nothing then that was not done. Cancelling the task ends it between regions.
    @discardableResult
    public func collectGarbage(
        upTo timestamp: Timestamp, concurrency: Int = 8, timeout: Duration? = nil
    ) async throws(TiKVError) -> Timestamp {
        guard timestamp != .latest, timestamp.rawValue > 0 else {
            throw TiKVError(.invalidArgument, "\(timestamp) can't be a safe point")
        }
        try Self.check(concurrency)
        let reached = try await GarbageCollector(context: self.context).collect(
            upTo: timestamp.rawValue, concurrency: concurrency, deadline: self.context.deadline(timeout))
        return Timestamp(rawValue: reached)
    }

    /// How far garbage collection has come, as far as this client knows, which asks PD every 10 s: what began before it
    /// can't be read any more. Nil before the first read.
    public var safePoint: Timestamp? {
        let known = self.context.safePoints.safePoint
        return known == 0 ? nil : Timestamp(rawValue: known)
    }

    /// Removes all keys of a range with all their versions and locks, region by region.
    ///
    /// This is no transaction: readers of any timestamp see the keys gone at once, and what runs at the same time over
    /// these keys breaks. For ranges that nobody uses any more. When it throws, any of the keys may have been removed.
    ///
    /// - Parameters:
    ///   - range: the keys; `.everything` is taken at its word, an empty one removes nothing.
    ///   - concurrency: how many pieces of the range are worked on at once; at least 1.
    ///   - isAnnouncedOnly: tells the regions, which then know, and removes nothing: the range is destroyed otherwise.
    /// - Returns: over how many regions the range went.
    /// - Throws: ``TiKVError``; ``TiKVError/Code/invalidArgument`` where the range's end lies before its start. Each region
    ///   has 100 s.
    @discardableResult
    public func deleteRange(
        _ range: KeyRange, concurrency: Int = 1, isAnnouncedOnly: Bool = false
    ) async throws(TiKVError) -> Int {
        try RawClient.validate(range)
        try Self.check(concurrency)
        guard !range.isEmpty else { return 0 }
        return try await GarbageCollector(context: self.context).deleteRange(
            KeySpan(start: range.start.bytes, end: range.end.bytes), isAnnouncedOnly: isAnnouncedOnly,
            concurrency: concurrency)
    }

    /// Removes a range's files from every store at once, past regions, replication and transactions.
    ///
    /// The quickest way to be rid of much, for ranges that nobody uses or will use before garbage collection is past this
    /// moment: a region that moves meanwhile may bring some of it back. All stores are asked, also where one fails.
    ///
    /// - Parameters:
    ///   - range: the keys; both ends must be given.
    ///   - timeout: the time for all of the call, of which a store may take 5 minutes; by default these.
    /// - Throws: ``TiKVError``, where a store failed: of all that did, with their reasons.
    public func unsafeDestroyRange(_ range: KeyRange, timeout: Duration? = nil) async throws(TiKVError) {
        try RawClient.validate(range)
        guard !range.isEmpty else { return }
        guard !range.start.isEmpty, !range.end.isEmpty else {
            throw TiKVError(.invalidArgument, "a range that is to be destroyed needs both ends")
        }
        let deadline = self.context.deadline(timeout ?? GarbageCollector.destroyTimeout)
        let failures = try await GarbageCollector(context: self.context).destroyRange(
            KeySpan(start: range.start.bytes, end: range.end.bytes), deadline: deadline)
        guard let first = failures.first else { return }
        let words = failures.map { "store \($0.id): \($0.1.message)" }.joined(separator: "; ")
        throw TiKVError(first.1.code, "\(failures.count) stores did not remove the range: \(words)", cause: first.1)
    }

    private static func check(_ concurrency: Int) throws(TiKVError) {
        if concurrency < 1 { throw TiKVError(.invalidArgument, "the concurrency must be at least 1") }
    }
}
