// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap
import TiKVPD

/// How the keys of one client look to stores and to PD. Pure.
///
/// There are two forms beside the application's own. Requests to stores carry keys with the keyspace's prefix, where there
/// is one. Bounds of regions are such keys once more encoded (``MemComparable``), but for raw data outside of API V2.
/// Everything above the request pipeline, the region cache included, knows the application's keys only; a region that goes
/// beyond the keyspace appears cut to it, and an empty bound stands for the keyspace's own.
struct KeyCodec: Sendable {
    let apiVersion: APIVersion
    /// Nil outside of API V2.
    let keyspace: Keyspace?
    /// Whether bounds of regions are `MemComparable`.
    let encodesRegionKeys: Bool

    /// Keys as they are.
    static func v1(_ mode: Keyspace.Mode, hasTimeToLive: Bool = false) -> KeyCodec {
        KeyCodec(apiVersion: hasTimeToLive ? .v1ttl : .v1, keyspace: nil, encodesRegionKeys: mode == .transaction)
    }

    /// Keys of one keyspace.
    static func v2(_ keyspace: Keyspace) -> KeyCodec {
        KeyCodec(apiVersion: .v2, keyspace: keyspace, encodesRegionKeys: true)
    }

    private init(apiVersion: APIVersion, keyspace: Keyspace?, encodesRegionKeys: Bool) {
        self.apiVersion = apiVersion
        self.keyspace = keyspace
        self.encodesRegionKeys = encodesRegionKeys
    }

    /// Whether requests and answers must be rewritten.
    var changesKeys: Bool { self.keyspace != nil }

    // MARK: - Keys

    func encode(_ key: [UInt8]) -> [UInt8] {
        guard let keyspace = self.keyspace else { return key }
        return keyspace.prefix + key
    }

    /// No key at all stays none.
    func decode(_ key: [UInt8]) throws(KeyCodecError) -> [UInt8] {
        guard let keyspace = self.keyspace, !key.isEmpty else { return key }
        guard key.starts(with: keyspace.prefix) else { throw .outsideOfKeyspace }
        return Array(key.dropFirst(keyspace.prefix.count))
    }

    // MARK: - Ranges

    /// An empty end becomes the end of the keyspace.
    func encode(_ span: KeySpan) -> KeySpan {
        guard let keyspace = self.keyspace else { return span }
        return KeySpan(start: self.encode(span.start), end: span.end.isEmpty ? keyspace.end : self.encode(span.end))
    }

    /// The part of a range that belongs to the keyspace.
    func decode(_ span: KeySpan) throws(KeyCodecError) -> KeySpan {
        guard let keyspace = self.keyspace else { return span }
        guard let part = Self.part(of: span, from: keyspace.prefix, to: keyspace.end) else { throw .outsideOfKeyspace }
        return KeySpan(start: try self.decode(part.start), end: try self.decode(part.end))
    }

    // MARK: - Regions

    func encodeRegionKey(_ key: [UInt8]) -> [UInt8] {
        self.encodesRegionKeys ? MemComparable.encode(self.encode(key)) : key
    }

    /// No key at all stays none.
    func decodeRegionKey(_ key: [UInt8]) throws(KeyCodecError) -> [UInt8] {
        guard self.encodesRegionKeys, !key.isEmpty else { return key }
        guard let decoded = MemComparable.decode(key) else { throw .undecodable }
        return try self.decode(decoded)
    }

    func encodeRegionRange(_ span: KeySpan) -> KeySpan {
        guard self.encodesRegionKeys else { return span }
        let encoded = self.encode(span)
        return KeySpan(
            start: MemComparable.encode(encoded.start),
            end: encoded.end.isEmpty ? [] : MemComparable.encode(encoded.end))
    }

    /// The part of a region that belongs to the keyspace. Bounds outside of it need not make sense to be left out.
    func decodeRegionRange(_ span: KeySpan) throws(KeyCodecError) -> KeySpan {
        guard self.encodesRegionKeys else { return span }
        var part = span
        if let keyspace = self.keyspace {
            guard let inside = Self.part(of: span, from: keyspace.encodedPrefix, to: keyspace.encodedEnd) else {
                throw .outsideOfKeyspace
            }
            part = inside
        }
        return KeySpan(start: try self.decodeRegionKey(part.start), end: try self.decodeRegionKey(part.end))
    }

    /// The bounds of a region's buckets, of which those outside of the keyspace become its two ends.
    func decodeBucketKeys(_ keys: [[UInt8]]) throws(KeyCodecError) -> [[UInt8]] {
        guard let keyspace = self.keyspace else {
            var decoded: [[UInt8]] = []
            for key in keys { decoded.append(try self.decodeRegionKey(key)) }
            return decoded
        }
        var decoded: [[UInt8]] = []
        for (index, encoded) in keys.enumerated() {
            var key: [UInt8] = []
            if !encoded.isEmpty {
                guard let plain = MemComparable.decode(encoded) else { throw .undecodable }
                key = plain
            }
            let isEnd = key.isEmpty ? index > 0 : KeyOrder.compare(key, keyspace.end) >= 0
            if isEnd {
                decoded.append([])
                break
            }
            if KeyOrder.compare(key, keyspace.prefix) > 0 {
                decoded.append(try self.decode(key))
            } else if decoded.isEmpty {
                decoded.append([])
            }
        }
        return decoded
    }

    // MARK: - Private

    /// A range cut to that between two bounds, which become empty; nil where it lies outside.
    private static func part(of span: KeySpan, from start: [UInt8], to end: [UInt8]) -> KeySpan? {
        guard KeyOrder.isLess(span.start, end), span.end.isEmpty || KeyOrder.isLess(start, span.end) else { return nil }
        return KeySpan(
            start: KeyOrder.compare(span.start, start) <= 0 ? [] : span.start,
            end: span.end.isEmpty || KeyOrder.compare(span.end, end) >= 0 ? [] : span.end)
    }
}
