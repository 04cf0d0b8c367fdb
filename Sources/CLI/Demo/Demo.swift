// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV
import TiKVEmbedded

/// What `tikv-cli demo` shows, step by step. Every answer is compared with the file; one that differs is an error.
struct Demo {
    let cluster: EmbeddedCluster
    let client: RawClient
    let data: DemoData
    private(set) var log = OperationLog()

    init(cluster: EmbeddedCluster, client: RawClient, data: DemoData) {
        self.cluster = cluster
        self.client = client
        self.data = data
    }

    mutating func run() async throws {
        let endpoints = self.cluster.pdEndpoints.joined(separator: ", ")
        try self.say(
            "cluster", "\(self.cluster.stores.count) stores, \(self.cluster.regions.count) regions, PD \(endpoints)")
        try await self.importRecords()
        try await self.readPoints()
        try await self.scanRanges()
        try await self.readAcrossRegions()
        try await self.splitUnderLoad()
        try await self.moveLeadersUnderLoad()
    }

    // MARK: - Steps

    private mutating func importRecords() async throws {
        let outcome = try await Importer().run(DemoData.reader(self.data.path), into: self.client)
        self.log.merge(outcome.latencies, as: "batch put")
        try self.say("import", outcome.summary)
    }

    private mutating func readPoints() async throws {
        let load = DemoLoad(client: self.client, data: self.data)
        let started = ContinuousClock.now
        let log = await load.readPoints(count: 4096, inFlight: 16)
        let rate = Readable.rate(log.count, in: ContinuousClock.now - started)
        self.log.merge(log)
        try self.say("point reads", "\(Readable.count(log.count)) at random, 16 at once, \(rate)")
        for codePoint in ["0041", "03A9", "1F600"] {
            let key = DemoData.key(codePoint)
            if let value = await self.log.measure("get", { [client] in try await client.get(key) }) ?? nil {
                try self.say("", DemoData.describe(key: key, value: value))
            }
        }
    }

    private mutating func scanRanges() async throws {
        let greek = KeyRange(start: DemoData.key("0391"), end: DemoData.key("03AA"))
        let letters = try await self.scan("scan", greek)
        try self.say("range scan", "\(letters.count) keys from U+0391 up to U+03A9")
        for record in letters.prefix(3) {
            try self.say("", DemoData.describe(key: record.key, value: record.value))
        }
        let started = ContinuousClock.now
        let all = try await self.scan("scan, all", .prefix(Key(DemoData.prefix)))
        let duration = Readable.duration(ContinuousClock.now - started)
        try self.say("full scan", "\(Readable.count(all.count)) keys over all regions in \(duration)")
    }

    private mutating func scan(_ name: String, _ range: KeyRange) async throws -> [RecordReader.Record] {
        let found = await self.log.measure(name) { [client] in
            var found: [RecordReader.Record] = []
            for try await pair in client.scan(range) {
                found.append(RecordReader.Record(key: pair.key, value: pair.value))
            }
            return found
        }
        guard let found else { return [] }
        if found != self.data.records(in: range) {
            self.log.complain(name, "\(found.count) records, which are not those of the file")
        }
        return found
    }

    private mutating func readAcrossRegions() async throws {
        let keys = ["0041", "1047", "12000", "1F600", "2603", "FB01"].map(DemoData.key)
        let values = await self.log.measure("batch get") { [client] in try await client.batchGet(keys) } ?? [:]
        let regions = self.cluster.regions
        try self.say("batch read", "\(keys.count) keys from \(regions.count) regions in one call")
        for key in keys {
            guard let value = values[key], value == self.data.value(of: key) else {
                self.log.complain("batch get", "wrong value for \(ByteNotation.text.describe(key.bytes))")
                continue
            }
            let region = self.cluster.region(containing: key.bytes)
            let place = region.map { "region \($0.id), led by store \($0.leaderStoreID ?? 0)" } ?? ""
            try self.say("", "\(DemoData.describe(key: key, value: value))  (\(place))")
        }
    }

    private mutating func splitUnderLoad() async throws {
        let before = self.cluster.regions.count
        let cluster = self.cluster
        let splits = ["0800", "1400", "16800", "1F300", "2600", "AC00"].map { codePoint -> DemoLoad.Event in
            { _ = try cluster.split(at: DemoData.key(codePoint).bytes) }
        }
        let log = try await DemoLoad(client: self.client, data: self.data).run(during: splits)
        self.log.merge(log)
        let after = self.cluster.regions.count
        try self.say("split", "\(before) → \(after) regions during \(Readable.count(log.count)) reads and writes")
        if after <= before {
            self.log.complain("split", "there are no more regions than before")
        }
    }

    private mutating func moveLeadersUnderLoad() async throws {
        let before = self.cluster.regions
        let cluster = self.cluster
        let moves = before.compactMap { region -> DemoLoad.Event? in
            guard let target = region.peers.keys.sorted().first(where: { $0 != region.leaderStoreID }) else {
                return nil
            }
            return { try cluster.transferLeader(ofRegion: region.id, to: target) }
        }
        let log = try await DemoLoad(client: self.client, data: self.data).run(during: moves)
        self.log.merge(log)
        let moved = before.count { self.cluster.region($0.id)?.leaderStoreID != $0.leaderStoreID }
        try self.say("leader moves", "\(moved) leaders moved during \(Readable.count(log.count)) reads and writes")
        if moved == 0 {
            self.log.complain("leader moves", "no leader moved")
        }
    }

    // MARK: - Output

    private func say(_ step: String, _ text: String) throws {
        let padding = String(repeating: " ", count: max(0, 14 - step.count))
        try StandardStream.output.write("  \(step)\(padding)\(text)\n")
    }
}
