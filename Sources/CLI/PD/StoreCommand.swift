// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKVPD

struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store",
        abstract: "Show a cluster's stores as PD knows them.",
        discussion: """
            A line each: id, address, state (up, offline, tombstone), version, and labels as name=value by commas; separated \
            by tabs.
            """
    )

    @Argument(help: "The store's id; without, all stores.") var id: UInt64?
    @Flag(name: .long, help: "Those that are gone for good, too.") var tombstones = false
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let stores = try await self.connection.withPDClient { client in
            guard let id = self.id else {
                return try await client.allStores(
                    excludingTombstones: !self.tombstones, deadline: self.connection.deadline)
            }
            return try await client.store(id: id, deadline: self.connection.deadline).map { [$0] } ?? []
        }
        if let id = self.id, stores.isEmpty { throw CommandFailure.absent("there is no store \(id)") }
        var output = BufferedOutput()
        for store in stores {
            let labels = store.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            let fields = ["\(store.id)", store.address, "\(store.state)", store.version, labels.joined(separator: ",")]
            try output.append((fields.joined(separator: "\t") + "\n").utf8)
        }
        try output.flush()
    }
}
