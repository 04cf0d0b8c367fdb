// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TiKV
import TiKVEmbedded

/// The examples of docs/raw.md, which is held against this file.
@Suite(.timeLimit(.minutes(2)), .enabled(if: TestCluster.hasControl, "has a coprocessor plugin"))
struct RawGuideTests {
    private func with(
        _ configuration: ClientConfiguration = ClientConfiguration(), _ body: (RawClient) async throws -> Void
    ) async throws {
        let sum = EmbeddedCluster.CoprocessorPlugin(name: "sum") { request in request.data }
        try await TestCluster.withControl(
            .init(apiVersion: .init(configuration.apiVersion), coprocessorPlugins: [sum]),
            configuration: configuration
        ) { client, _ in try await body(client) }
    }

    private func print(_ items: Any...) {}

    @Test func singleAndManyKeys() async throws {
        try await self.with { client in
            try await client.put("user/1", value: "Ada")
            let name = try await client.get("user/1")
            try await client.delete("user/1")
            #expect(name == "Ada")
        }
        try await self.with { client in
            try await client.batchPut([("user/1", "Ada"), ("user/2", "Barbara"), ("user/3", "Grace")])
            let names = try await client.batchGet(["user/1", "user/2", "user/9"])
            try await client.batchDelete(["user/1", "user/2"])
            #expect(names == ["user/1": "Ada", "user/2": "Barbara"])
        }
    }

    @Test func ranges() async throws {
        try await self.with { client in
            try await client.batchPut([("user/1", "Ada"), ("log/a/1", "x"), ("log/a/2", "y")])
            for try await (key, value) in client.scan(.prefix("user/"), limit: 100) {
                print(key, value)
            }
            for try await (key, _) in client.scan("user/"..<"user0", reversed: true, keysOnly: true) {
                print(key)
            }
            try await client.deleteRange("user/5"...)
            let newest = try await client.batchScan([.prefix("log/a/"), .prefix("log/b/")], limit: 10, reversed: true)
            let ofA = newest[0]
            #expect(ofA.map(\.value) == ["y", "x"])
            let checksum = try await client.checksum(.prefix("user/"))
            print(checksum.pairCount, checksum.byteCount, checksum.crc64Xor)
            #expect(checksum.pairCount == 1)
        }
    }

    @Test func valuesThatExpire() async throws {
        try await self.with(.raw(.v1ttl)) { client in
            try await client.put("session/1", value: "…", ttl: .seconds(3600))
            if let left = try await client.timeToLive(of: "session/1") {
                print(left.remaining.map { "\($0)" } ?? "for ever")
            }
            try await client.batchPut([
                RawEntry("session/2", value: "…", ttl: .seconds(60)),
                RawEntry("session/3", value: "…"),
            ])
            #expect(try await client.timeToLive(of: "session/3") == .forever)
        }
    }

    @Test func configurations() {
        func versioned() -> ClientConfiguration {
            var configuration = ClientConfiguration()
            configuration.apiVersion = .v2
            configuration.keyspace = "accounts"
            return configuration
        }
        func atomic() -> ClientConfiguration {
            var configuration = ClientConfiguration()
            configuration.raw.isAtomic = true
            return configuration
        }
        #expect(versioned().keyspace == "accounts" && atomic().raw.isAtomic)
    }

    @Test func compareAndSwap() async throws {
        try await self.with(.raw(.v1, isAtomic: true)) { client in
            try await client.put("counter", value: "41")
            let swap = try await client.compareAndSwap("counter", expected: "41", value: "42")
            if !swap.isSwapped, let previous = swap.previous {
                print("the counter is at", previous)
            }
            let holder = try await client.putIfAbsent("lock", value: "me")
            try await client.compareAndDelete("lock", expected: "me")
            #expect(swap.isSwapped && holder == nil)
        }
    }

    @Test func coprocessor() async throws {
        try await self.with { client in
            let sums = try await client.coprocessor("sum", ranges: [.prefix("user/")], isReadOnly: true) { id, ranges in
                Array("sum these".utf8)
            }
            #expect(sums.map(\.data) == [Array("sum these".utf8)])
        }
    }

    @Test func errors() async throws {
        try await self.with { client in
            do throws(TiKVError) {
                try await client.put("k", value: "v", timeout: .milliseconds(500))
            } catch {
                if error.isOutcomeUnknown { print("written, or not: \(error)") }
                if error.code == .invalidArgument { print("nothing was sent: \(error)") }
                throw error
            }
        }
    }

    /// Every line of an example stands in this file, in this order within its example; only indentation may differ.
    @Test func theGuideShowsWhatIsCompiledHere() throws {
        let guide = try String(contentsOf: self.file("docs/raw.md"), encoding: .utf8)
        let compiled = try ["Tests/E2ETests/Raw/RawGuideTests.swift", "Tests/E2ETests/ReadmeTests.swift"].map {
            try self.lines(String(contentsOf: self.file($0), encoding: .utf8))
        }
        let blocks = guide.components(separatedBy: "```swift\n").dropFirst().map { block in
            self.lines(block.components(separatedBy: "\n```").first ?? "")
        }
        #expect(blocks.count > 8)
        // The first shows how to connect, where this file has an embedded cluster.
        for block in blocks.dropFirst() {
            let isThere = compiled.contains { lines in
                lines.indices.contains { lines[$0...].starts(with: block) }
            }
            #expect(isThere, "\(block)")
        }
    }

    private func file(_ path: String) -> URL {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return root.appendingPathComponent(path)
    }

    private func lines(_ text: String) -> [String] {
        text.components(separatedBy: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }
}
