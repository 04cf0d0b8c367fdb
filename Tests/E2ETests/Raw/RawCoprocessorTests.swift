// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

@Suite(.timeLimit(.minutes(2)), .enabled(if: TestCluster.hasControl, "needs a plugin in the stores"))
struct RawCoprocessorTests {
    private struct Failure: Error, CustomStringConvertible {
        var description: String { "the plugin gave up" }
    }

    /// Answers with the request and the keys, one a line.
    private static let list = EmbeddedCluster.CoprocessorPlugin(name: "list", version: "1.2.3") { request in
        if request.data == Array("fail".utf8) { throw Failure() }
        return request.data + request.pairs().flatMap { [0x0a] + $0.key }
    }

    @Test(arguments: TestCluster.versions) func everyRegionIsAskedForItsParts(version: APIVersion) async throws {
        let embedded = EmbeddedCluster.APIVersion(version)
        let splits = ["c", "f"].map { embedded.regionKey(forRaw: Array($0.utf8)) }
        try await TestCluster.withControl(
            .init(splitKeys: splits, apiVersion: embedded, coprocessorPlugins: [Self.list]),
            configuration: .raw(version)
        ) { client, cluster in
            try await client.batchPut(["a", "b", "c", "d", "e", "f", "g"].map { (Key($0), "v") })
            let answers = try await client.coprocessor(
                "list", version: "^1.1", ranges: ["f"..., "b"..<"c", "d"..<"g"], isReadOnly: true
            ) { region, ranges in
                Array("\(region)/\(ranges.count)".utf8)
            }
            let parts: [[KeyRange]] = [["b"..<"c"], ["d"..<"f"], ["f"..<"g", "f"...]]
            #expect(answers.map(\.ranges) == parts)
            let prefix = version == .v2 ? "r\0\0\0" : ""
            func lines(_ region: String, _ parts: Int, _ keys: [String]) throws -> [UInt8] {
                let id = try #require(cluster.region(containing: embedded.regionKey(forRaw: Array(region.utf8)))).id
                return Array(("\(id)/\(parts)" + keys.map { "\n\(prefix)\($0)" }.joined()).utf8)
            }
            let expected = [
                try lines("a", 1, ["b"]), try lines("c", 1, ["d", "e"]), try lines("f", 2, ["f", "f", "g"]),
            ]
            #expect(answers.map(\.data) == expected)
            // Known regions that have changed are cut again.
            try cluster.split(at: embedded.regionKey(forRaw: Array("e".utf8)))
            let after = try await client.coprocessor("list", ranges: ["d"..<"f"]) { _, _ in [] }
            let halves: [[KeyRange]] = [["d"..<"e"], ["e"..<"f"]]
            #expect(after.map(\.ranges) == halves)
            #expect(try await client.coprocessor("list", ranges: ["a"..<"a"]) { _, _ in [] }.isEmpty)
        }
    }

    @Test func whatIsWrongWithAPluginIsTold() async throws {
        try await TestCluster.withControl(.init(coprocessorPlugins: [Self.list])) { client, _ in
            func error(_ name: String, _ version: String, _ data: String = "") async -> TiKVError? {
                await failure {
                    try await client.coprocessor(name, version: version, ranges: [.everything]) { _, _ in
                        Array(data.utf8)
                    }
                }
            }
            #expect(await error("list", "*") == nil)
            #expect(await error("none", "*")?.detail == "No registered coprocessor with name 'none'")
            #expect(await error("list", ">=2")?.detail.contains("does not satisfy") == true)
            #expect(await error("list", "?")?.code == .serverError)
            #expect(await error("list", "*", "fail")?.detail == "the plugin gave up")
        }
        try await TestCluster.withControl { client, _ in
            let disabled = await failure { try await client.coprocessor("list", ranges: [.everything]) { _, _ in [] } }
            #expect(disabled?.detail == "Coprocessor plugin is disabled!")
        }
    }

    @Test func aLostAnswerLeavesTheOutcomeOpenUnlessNothingChanges() async throws {
        try await TestCluster.withControl(.init(coprocessorPlugins: [Self.list])) { client, cluster in
            cluster.inject(.cutConnection, into: .init(rpc: "RawCoprocessor"))
            let error = await failure { try await client.coprocessor("list", ranges: [.everything]) { _, _ in [] } }
            #expect(error?.code == .undetermined)
            cluster.inject(.cutConnection, into: .init(rpc: "RawCoprocessor"))
            let answers = try await client.coprocessor("list", ranges: [.everything], isReadOnly: true) { _, _ in [7] }
            #expect(answers.map(\.data) == [[7]])
        }
    }
}
