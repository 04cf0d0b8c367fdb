// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// The code that README.md shows, so that it stays true.
@Suite struct ReadmeTests {
    @Test func firstSteps() async throws {
        let lines = try await EmbeddedCluster.withCluster { cluster in
            var lines: [String] = []
            func print(_ items: String...) { lines.append(items.joined(separator: " ")) }

            try await RawClient.withClient(pd: cluster.pdEndpoints) { client in
                try await client.put("user/1", value: "Ada")
                if let name = try await client.get("user/1") {
                    print(String(decoding: name.bytes, as: UTF8.self))
                }
                for try await (key, value) in client.scan(.prefix("user/")) {
                    print(key.debugDescription, value.debugDescription)
                }
            }
            return lines
        }
        #expect(lines == ["Ada", #"Key("user/1") Value("Ada")"#])
    }

    @Test func transactions() async throws {
        try await EmbeddedCluster.withCluster { cluster in
            try await TransactionClient.withClient(pd: cluster.pdEndpoints) { client in
                try await client.withTransaction { transaction in
                    try await transaction.put("alice", value: "100")
                    try await transaction.put("bob", value: "20")
                }
                // Run again from the start where somebody else was in the way.
                try await client.withTransaction(.pessimistic) { transaction in
                    let alice = Int(
                        String(decoding: try await transaction.getForUpdate("alice")?.bytes ?? [], as: UTF8.self))
                    let bob = Int(
                        String(decoding: try await transaction.getForUpdate("bob")?.bytes ?? [], as: UTF8.self))
                    guard let alice, let bob, alice >= 30 else { return }
                    try await transaction.put("alice", value: Value("\(alice - 30)"))
                    try await transaction.put("bob", value: Value("\(bob + 30)"))
                }
                let snapshot = client.snapshot(at: try await client.currentTimestamp())
                #expect(try await snapshot.batchGet(["alice", "bob"]) == ["alice": "70", "bob": "50"])
            }
        }
    }

    @Test func tls() {
        var configuration = ClientConfiguration()
        configuration.connection.tls = .init(
            trustRoots: .file("/etc/tikv/ca.pem"),
            identity: .init(
                certificateChain: .file("/etc/tikv/client.pem"), privateKey: .file("/etc/tikv/client-key.pem")))
        #expect(configuration.connection.tls?.identity?.privateKey == .file("/etc/tikv/client-key.pem"))
    }

    @Test func inYourTests() async throws {
        try await EmbeddedCluster.withCluster { cluster in
            try await RawClient.withClient(pd: cluster.pdEndpoints) { client in
                try await client.put("a", value: "1")
                try cluster.split(at: Array("m".utf8))
                #expect(try await client.get("a") == "1")
            }
            #expect(cluster.regions.count == 2)
        }
    }
}
