// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

/// PD's regions as the application's side knows them: asked for by its keys, and cut to its keyspace.
struct CodecRegionSource: RegionSource {
    let source: any RegionSource
    let codecs: CodecSource

    var hasFollowers: Bool { self.source.hasFollowers }

    func currentClusterID() async -> UInt64? { await self.source.currentClusterID() }

    func region(
        for key: [UInt8], fromLeader: Bool, deadline: Deadline
    ) async throws(PDError) -> RegionDescription? {
        let codec = try await self.codec(deadline)
        return try Self.decode(
            try await self.source.region(
                for: codec.encodeRegionKey(key), fromLeader: fromLeader, deadline: deadline), codec)
    }

    func previousRegion(
        for key: [UInt8], fromLeader: Bool, deadline: Deadline
    ) async throws(PDError) -> RegionDescription? {
        let codec = try await self.codec(deadline)
        return try Self.decode(
            try await self.source.previousRegion(
                for: codec.encodeRegionKey(key), fromLeader: fromLeader, deadline: deadline), codec)
    }

    func region(id: UInt64, deadline: Deadline) async throws(PDError) -> RegionDescription? {
        let codec = try await self.codec(deadline)
        return try Self.decode(try await self.source.region(id: id, deadline: deadline), codec)
    }

    func batchScanRegions(
        _ spans: [KeySpan], limit: Int, deadline: Deadline
    ) async throws(PDError) -> [RegionDescription] {
        let codec = try await self.codec(deadline)
        let found = try await self.source.batchScanRegions(
            spans.map { codec.encodeRegionRange($0) }, limit: limit, deadline: deadline)
        return try Self.decode(found, codec)
    }

    func scanRegions(
        _ span: KeySpan, limit: Int, deadline: Deadline
    ) async throws(PDError) -> [RegionDescription] {
        let codec = try await self.codec(deadline)
        let found = try await self.source.scanRegions(codec.encodeRegionRange(span), limit: limit, deadline: deadline)
        return try Self.decode(found, codec)
    }

    private static func decode(
        _ found: [RegionDescription], _ codec: KeyCodec
    ) throws(PDError) -> [RegionDescription] {
        guard codec.encodesRegionKeys else { return found }
        var decoded: [RegionDescription] = []
        for region in found {
            if let region = try Self.decode(region, codec) { decoded.append(region) }
        }
        return decoded
    }

    func store(id: UInt64, deadline: Deadline) async throws(PDError) -> StoreDescription? {
        try await self.source.store(id: id, deadline: deadline)
    }

    // MARK: - Private

    private func codec(_ deadline: Deadline) async throws(PDError) -> KeyCodec {
        if let known = self.codecs.known { return known }
        do throws(TiKVError) {
            return try await self.codecs.codec(deadline: deadline)
        } catch {
            // Every call has its codec before it looks for regions, so this is for nobody but background work.
            throw PDError(error.code == .cancelled ? .cancelled : .unreachable, error.message, detail: error.detail)
        }
    }

    /// Nil where a region has nothing of the keyspace.
    static func decode(_ region: RegionDescription?, _ codec: KeyCodec) throws(PDError) -> RegionDescription? {
        guard var region, codec.encodesRegionKeys else { return region }
        do throws(KeyCodecError) {
            let span = try codec.decodeRegionRange(KeySpan(start: region.startKey, end: region.endKey))
            region.startKey = span.start
            region.endKey = span.end
            if let buckets = region.buckets {
                // Buckets whose bounds are no keys are none; the region is good all the same.
                region.buckets?.keys = (try? codec.decodeBucketKeys(buckets.keys)) ?? []
            }
            return region
        } catch .outsideOfKeyspace {
            return nil
        } catch {
            throw PDError(.server, "PD answered with a region whose bounds are no keys", detail: "\(region.id)")
        }
    }
}
