// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

extension ClusterModel {
    /// TiKV's default for the longest key that a raw request may have.
    static let maximumKeySize = 8 * 1024

    /// TiKV's default for what one request may write.
    static let maximumEntrySize = 8 * 1024 * 1024

    /// Stores of API V1 take requests of version V1 only, whether values expire or not.
    func checkVersion(_ context: Kvrpcpb_Context, _ command: String) throws(StorageError) {
        let version = context.apiVersion
        if version == .v1 { return }
        throw .request(
            "Api version in request does not match with TiKV storage, cmd: \(command), "
                + "storage: \(self.apiVersion.name), request: \(version.tikvName)")
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

    static func checkSize(ofKey key: [UInt8]) throws(StorageError) {
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
    fileprivate var tikvName: String {
        switch self {
        case .v1: "V1"
        case .v1Ttl: "V1ttl"
        case .v2: "V2"
        case .v3: "V3"
        case .UNRECOGNIZED(let number): "\(number)"
        }
    }
}
