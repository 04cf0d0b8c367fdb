// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A request that knows which of its fields are keys.
protocol KeyedRequest: Message {
    mutating func encodeKeys(with codec: KeyCodec)
}

/// An answer that knows which of its fields are keys or regions; its region error is decoded by the codec itself.
protocol KeyedResponse: Message {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError)
}

// MARK: - Whole messages

extension KeyCodec {
    /// A request as it goes to a store.
    func encode<Request: RegionRequest>(_ request: Request) -> Request {
        guard self.changesKeys else { return request }
        var encoded = request
        encoded.encodeKeys(with: self)
        self.stamp(&encoded.context)
        return encoded
    }

    /// An answer as the application's side knows it.
    func decode<Response: RegionResponse>(_ response: inout Response) throws(KeyCodecError) {
        guard self.encodesRegionKeys else { return }
        if response.hasRegionError { response.regionError = try self.decode(response.regionError) }
        try response.decodeKeys(with: self)
    }

    /// Says which API and keyspace a request is for.
    func stamp(_ context: inout Kvrpcpb_Context) {
        guard let keyspace = self.keyspace else { return }
        context.apiVersion = .v2
        context.keyspaceID = keyspace.id
        context.keyspaceName = keyspace.name
    }
}

// MARK: - Fields of requests

extension KeyCodec {
    func encode(_ key: Data) -> Data {
        guard let keyspace = self.keyspace else { return key }
        var encoded = Data(capacity: keyspace.prefix.count + key.count)
        encoded.append(contentsOf: keyspace.prefix)
        encoded.append(key)
        return encoded
    }

    func encode(_ keys: [Data]) -> [Data] { keys.map { self.encode($0) } }

    /// - Parameter isReversed: the range begins with its upper bound.
    func encode(start: Data, end: Data, isReversed: Bool = false) -> (start: Data, end: Data) {
        if isReversed {
            let (lower, upper) = self.encode(start: end, end: start)
            return (upper, lower)
        }
        guard let keyspace = self.keyspace else { return (start, end) }
        return (self.encode(start), end.isEmpty ? Data(keyspace.end) : self.encode(end))
    }

    func encode(_ range: Kvrpcpb_KeyRange, isReversed: Bool = false) -> Kvrpcpb_KeyRange {
        var encoded = range
        (encoded.startKey, encoded.endKey) = self.encode(
            start: range.startKey, end: range.endKey, isReversed: isReversed)
        return encoded
    }

    func encode(_ mutations: [Kvrpcpb_Mutation]) -> [Kvrpcpb_Mutation] {
        mutations.map { mutation in
            var encoded = mutation
            encoded.key = self.encode(mutation.key)
            return encoded
        }
    }

    func encode(_ pairs: [Kvrpcpb_KvPair]) -> [Kvrpcpb_KvPair] {
        pairs.map { pair in
            var encoded = pair
            encoded.key = self.encode(pair.key)
            return encoded
        }
    }

    /// For fields where no key at all has a meaning of its own.
    func encodeIfPresent(_ key: Data) -> Data { key.isEmpty ? key : self.encode(key) }
}

// MARK: - Fields of answers

extension KeyCodec {
    /// No key at all stays none.
    func decode(_ key: Data) throws(KeyCodecError) -> Data {
        guard let keyspace = self.keyspace, !key.isEmpty else { return key }
        guard key.starts(with: keyspace.prefix) else { throw .outsideOfKeyspace }
        return Data(key.dropFirst(keyspace.prefix.count))
    }

    func decode(_ keys: [Data]) throws(KeyCodecError) -> [Data] {
        guard self.changesKeys else { return keys }
        return try self.map(keys) { key throws(KeyCodecError) in try self.decode(key) }
    }

    func decode(_ pairs: [Kvrpcpb_KvPair]) throws(KeyCodecError) -> [Kvrpcpb_KvPair] {
        guard self.changesKeys else { return pairs }
        return try self.map(pairs) { pair throws(KeyCodecError) in
            var decoded = pair
            if pair.hasError { decoded.error = try self.decode(pair.error) }
            decoded.key = try self.decode(pair.key)
            return decoded
        }
    }

    /// The same for each element, with typed errors, which `Sequence.map` forgets within closures.
    func map<Element>(
        _ elements: [Element], _ transform: (Element) throws(KeyCodecError) -> Element
    ) throws(KeyCodecError) -> [Element] {
        var result = elements
        for index in result.indices { result[index] = try transform(result[index]) }
        return result
    }
}
