// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

// What calls check before anything is sent, and what they make of a store's words.
extension RawClient {
    func timeout(_ timeout: Duration?) -> Duration {
        timeout ?? self.core.configuration.requestTimeout
    }

    /// TiKV takes no name for the default family, and API V2 no other family.
    func wireName(_ family: ColumnFamily?) throws(TiKVError) -> String {
        let family = family ?? self.configuration.columnFamily
        if family == .default || family.name.isEmpty { return "" }
        if self.core.configuration.apiVersion == .v2 {
            throw TiKVError(.invalidArgument, "raw data of API V2 have no column family but the default one")
        }
        return family.name
    }

    func validate(_ key: Key) throws(TiKVError) {
        if key.isEmpty { throw TiKVError(.invalidArgument, "a key must not be empty") }
        if key.count > self.configuration.maximumKeySize {
            throw TiKVError(
                .invalidArgument,
                "a key of \(key.count) bytes is over the limit of \(self.configuration.maximumKeySize) bytes")
        }
    }

    static func validate(_ range: KeyRange) throws(TiKVError) {
        if range.isReversed { throw TiKVError(.invalidArgument, "the range's end lies before its start") }
    }

    /// Pairs that one request may ask a store for, as in TiKV's other clients.
    static let maximumScanLimit = 10_240

    /// Whether stores keep a time to live at all. One without may not survive being asked for it.
    func checkTimeToLive() throws(TiKVError) {
        guard self.core.configuration.apiVersion.hasTimeToLive else {
            throw TiKVError(
                .invalidArgument, "API v1 has no time to live; ClientConfiguration.apiVersion can be v1ttl or v2")
        }
    }

    /// A time to live as stores take it; 0 is for ever.
    func seconds(_ ttl: Duration?) throws(TiKVError) -> UInt64 {
        guard let ttl else { return 0 }
        guard ttl > .zero else { throw TiKVError(.invalidArgument, "a time to live must be more than zero") }
        try self.checkTimeToLive()
        let (seconds, attoseconds) = ttl.components
        return UInt64(clamping: seconds) + (attoseconds > 0 ? 1 : 0)
    }

    static func check(_ response: some RawResponse) throws(TiKVError) {
        guard !response.error.isEmpty else { return }
        throw TiKVError(.serverError, "the store answered with an error", detail: response.error)
    }

    /// Where the answer is pairs, TiKV says what went wrong with the whole request in one of them, which has no key.
    static func check(_ pairs: [Kvrpcpb_KvPair]) throws(TiKVError) {
        guard let error = pairs.first(where: { $0.hasError })?.error else { return }
        let words = [error.abort, error.retryable].first { !$0.isEmpty }
        throw TiKVError(.serverError, "the store answered with an error", detail: words ?? error.textFormatString())
    }
}
