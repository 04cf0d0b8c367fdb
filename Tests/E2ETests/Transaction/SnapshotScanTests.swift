// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// Scans over many rows, pages and regions.
@Suite(.timeLimit(.minutes(3)))
struct SnapshotScanTests {
    private static let letters = (UInt8(ascii: "a")...UInt8(ascii: "z")).map {
        String(decoding: [$0], as: UTF8.self)
    }

    private func row(_ number: Int) -> String { "row" + String("\(number + 100_000)".dropFirst()) }

    private func keys(_ space: TransactionSpace, _ scan: TransactionScan) async throws -> [String] {
        var keys: [String] = []
        for try await (key, value) in scan {
            keys.append(space.name(key))
            #expect(value.bytes == [])
        }
        return keys
    }

    @Test(arguments: [1, 256, 257, 768])
    func scansYieldEveryRowInOrder(rows: Int) async throws {
        try await TransactionSpace.with(splits: [123, 456].filter { $0 < rows }.map { self.row($0) }) { space in
            let names = (0..<rows).map { self.row($0) }
            try await space.write(Dictionary(uniqueKeysWithValues: names.map { ($0, Value("value of \($0)")) }))
            let all = names.map { "\($0)=value of \($0)" }
            let half = space.range("row", self.row(rows / 2))
            let snapshot = space.client.snapshot(at: try await space.client.currentTimestamp())

            #expect(try await space.text(snapshot.scan(space.range)) == all)
            #expect(try await space.text(snapshot.scan(half)) == Array(all.prefix(rows / 2)))
            #expect(try await self.keys(space, snapshot.scan(space.range, keysOnly: true)) == names)
            #expect(
                try await self.keys(space, snapshot.scan(half, keysOnly: true)) == Array(names.prefix(rows / 2)))
            // Without that the values are there again.
            #expect(try await space.text(snapshot.scan(space.range)) == all)
            #expect(try await space.text(snapshot.scan(half)) == Array(all.prefix(rows / 2)))

            #expect(try await space.text(snapshot.scan(space.range, reversed: true)) == all.reversed())
            #expect(try await space.text(snapshot.scan(space.range, limit: 5)) == Array(all.prefix(5)))
            #expect(try await space.text(snapshot.scan(space.range, limit: 0)) == [])
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "leaves a lock behind"), arguments: [1, 256, 257, 768])
    func readCommittedScansMeetNoLocks(rows: Int) async throws {
        try await TransactionSpace.withControl(
            splits: [123, 456].filter { $0 < rows }.map { self.row($0) }
        ) { space, cluster in
            let names = (0..<rows).map { self.row($0) }
            try await space.write(Dictionary(uniqueKeysWithValues: names.map { ($0, Value("old")) }))
            let first = space.key(names[0]).bytes
            let start = try await space.client.currentTimestamp()
            cluster.putLock(
                .init(startTS: start.rawValue, primary: first, ttl: 1_000_000, value: Array("new".utf8)), on: first)
            let snapshot = space.client.snapshot(
                at: try await space.client.currentTimestamp(), options: .init(isolation: .readCommitted))
            #expect(try await space.text(snapshot.scan(space.range)) == names.map { "\($0)=old" })
            #expect(cluster.requestCount("KvCheckTxnStatus") == 0)
        }
    }

    /// Pages of ten end within regions and at their bounds.
    @Test(arguments: [[], ["e", "k", "u"]])
    func pagesFollowEachOther(splits: [String]) async throws {
        try await TransactionSpace.with(splits: splits) { space in
            try await space.write(Dictionary(uniqueKeysWithValues: Self.letters.map { ($0, Value($0)) }))
            let snapshot = space.client.snapshot(
                at: try await space.client.currentTimestamp(), options: .init(scanPageSize: 10))
            let whole = Self.letters.map { "\($0)=\($0)" }
            #expect(try await space.text(snapshot.scan(space.range("a", ""))) == whole)
            #expect(try await space.text(snapshot.scan(space.range("a", "i"))) == Array(whole.prefix(8)))
            #expect(
                try await space.text(snapshot.scan(space.range("", "z"), reversed: true))
                    == whole.dropLast().reversed())
            #expect(
                try await space.text(snapshot.scan(space.range("a", "i"), reversed: true))
                    == whole.prefix(8).reversed())
        }
    }

    /// Without any bounds a reversed scan begins at the last key that there is.
    @Test(.enabled(if: TestCluster.hasControl, "reads all keys"))
    func aReversedScanNeedsNoBounds() async throws {
        try await TransactionSpace.withControl(splits: ["m"]) { space, _ in
            try await space.write(["a": "1", "z": "2"])
            let last = try await space.client.begin()
            try await last.put([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], value: "3")
            try await last.commit()
            let snapshot = space.client.snapshot(at: try await space.client.currentTimestamp())
            var values: [Value] = []
            for try await (_, value) in snapshot.scan(.everything, reversed: true) { values.append(value) }
            #expect(values == ["3", "2", "1"])
        }
    }

    /// Regions split and merge under a scan, which yields every key once.
    @Test(.enabled(if: TestCluster.hasControl, "changes regions"), arguments: [false, true])
    func regionsChangeUnderAScan(isReversed: Bool) async throws {
        try await TransactionSpace.withControl(splits: ["h"]) { space, cluster in
            try await space.write(Dictionary(uniqueKeysWithValues: Self.letters.map { ($0, Value($0)) }))
            let snapshot = space.client.snapshot(
                at: try await space.client.currentTimestamp(), options: .init(scanPageSize: 2))
            var found: [String] = []
            for try await (key, _) in snapshot.scan(space.range, reversed: isReversed) {
                found.append(space.name(key))
                switch found.count {
                case 3, 9: try cluster.split(at: TransactionSpace.encoded(space.key("l\(found.count)").bytes))
                case 5: try cluster.split(at: TransactionSpace.encoded(space.key("t").bytes))
                case 12:
                    let regions = cluster.regions
                    _ = try cluster.merge(regions[1].id, into: regions[0].id)
                case 15: cluster.scatterLeaders()
                default: break
                }
            }
            #expect(found == (isReversed ? Self.letters.reversed() : Self.letters))
        }
    }

    @Test
    func samplesTakeSomeOfThePairs() async throws {
        try await TransactionSpace.with { space in
            try await space.write(Dictionary(uniqueKeysWithValues: Self.letters.map { ($0, Value($0)) }))
            let snapshot = space.client.snapshot(at: try await space.client.currentTimestamp())
            let sample = try await space.text(snapshot.scan(space.range, sampleStep: 10))
            #expect(sample == ["a=a", "k=k", "u=u"])
            let error = await failure { try await space.text(snapshot.scan(space.range, sampleStep: 0)) }
            #expect(error?.code == .invalidArgument)
        }
    }
}
