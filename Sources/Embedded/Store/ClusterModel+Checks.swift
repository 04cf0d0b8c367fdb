// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension ClusterModel {
    /// TiKV's default for the longest key that a raw request may have.
    static let maximumKeySize = 8 * 1024

    /// TiKV's default for what one request may write.
    static let maximumEntrySize = 8 * 1024 * 1024

    /// Stores of API V1 take requests of version V1 only, whether values expire or not; those of V2 raw requests of version
    /// V2 only, with keys and ranges that are raw.
    func checkRawVersion(_ context: Kvrpcpb_Context, _ command: String) throws(StorageError) {
        let version = context.apiVersion
        switch (self.apiVersion.kind, version) {
        case (.v1, .v1), (.v1ttl, .v1), (.v2, .v2): return
        default:
            throw .request(
                "Api version in request does not match with TiKV storage, cmd: \(command), "
                    + "storage: \(self.apiVersion.name), request: \(version.tikvName)")
        }
    }

    func checkVersion(_ context: Kvrpcpb_Context, _ command: String, keys: [Data]) throws(StorageError) {
        try self.checkRawVersion(context, command)
        guard self.apiVersion.kind == .v2 else { return }
        guard let key = keys.first(where: { $0.first != Self.rawMode }) else { return }
        throw .request(
            "Key mode mismatched with the request mode, cmd: \(command), storage: V2, key: \([UInt8](key).upperHex)")
    }

    /// A range is raw where both its bounds are, or where it ends right behind all raw keys.
    func checkVersion(
        _ context: Kvrpcpb_Context, _ command: String, ranges: [(start: Data, end: Data?)]
    ) throws(StorageError) {
        try self.checkRawVersion(context, command)
        guard self.apiVersion.kind == .v2 else { return }
        for (start, end) in ranges {
            if start.first == Self.rawMode, let end, end.first == Self.rawMode || end == Data([Self.rawMode + 1]) {
                continue
            }
            let bounds = [start, end].map { $0.map { "Some(\"\([UInt8]($0).upperHex)\")" } ?? "None" }
            throw .request(
                "Key mode mismatched with the request mode, cmd: \(command), storage: V2, "
                    + "range: (\(bounds[0]), \(bounds[1]))")
        }
    }

    private static let rawMode = UInt8(ascii: "r")

    /// API V2 has no column families for raw data: none may be named, not even the default one.
    func rawFamily(_ name: String) throws(StorageError) -> ColumnFamily {
        if self.apiVersion.kind == .v2, !name.isEmpty {
            throw .request("cf is deprecated in API V2, cf name: \(name)")
        }
        return try ColumnFamily(name: name)
    }

    /// A key as the engine holds it, which is how regions' bounds are.
    func stored(_ key: Data) -> [UInt8] {
        self.apiVersion.kind == .v2 ? MemComparable.encode([UInt8](key)) : [UInt8](key)
    }

    func region(for context: Kvrpcpb_Context, on storeID: UInt64) throws(StorageError) -> RegionState {
        do throws(RegionError) {
            return try self.cluster.check(RequestTarget(context), on: storeID)
        } catch {
            throw .region(error)
        }
    }

    func checkTTL(_ ttl: UInt64) throws(StorageError) {
        if ttl != 0 && !self.apiVersion.hasTTL { throw .request(Self.ttlNotEnabled) }
    }

    static let ttlNotEnabled = "ttl is not enabled, but get put request with ttl"

    static func checkSize(ofKey key: Data) throws(StorageError) {
        if key.count > self.maximumKeySize {
            throw .request("max key size exceeded, size: \(key.count), limit: \(self.maximumKeySize)")
        }
    }

    static func checkSize(ofEntry size: Int, in region: RegionState) throws(StorageError) {
        if size > self.maximumEntrySize {
            throw .region(.raftEntryTooLarge(region: region.id, size: UInt64(size)))
        }
    }
}

extension Array where Element == UInt8 {
    fileprivate var upperHex: String { self.hex.uppercased() }
}

extension RegionState {
    /// The same as `check`, as an error of the storage.
    func checkStored(_ key: [UInt8]) throws(StorageError) {
        if !self.contains(key) { throw .region(.keyNotInRegion(key: key, region: self)) }
    }

    /// A scan may start inside the region or right at its end.
    func checkSeek(_ key: [UInt8]) throws(StorageError) {
        if !self.containsInclusively(key) { throw .region(.keyNotInRegion(key: key, region: self)) }
    }
}

extension Kvrpcpb_APIVersion {
    /// As TiKV prints it.
    var tikvName: String {
        switch self {
        case .v1: "V1"
        case .v1Ttl: "V1ttl"
        case .v2: "V2"
        case .v3: "V3"
        case .UNRECOGNIZED(let number): "\(number)"
        }
    }
}
