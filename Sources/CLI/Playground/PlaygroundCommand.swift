// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV
import TiKVEmbedded
import UnixSignals

struct PlaygroundCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "playground",
        abstract: "Run a TiKV cluster in this process, in memory, for development and tests.",
        discussion: """
            Prints one line on standard output once it serves, `ready pd=HOST:PORT stores=N`, and runs until SIGINT or \
            SIGTERM, then exits with 0. Everything that was written is gone then.
            """
    )

    @Option(name: .long, help: "PD's port; 0 picks a free one. Stores always take free ports.") var pdPort = 2379
    @Option(name: .long, help: "How many members PD has; those after the first take free ports.") var pdMembers = 1
    @Option(
        name: .long,
        help:
            "A keyspace to be made beside DEFAULT, with --api-version v2; several by commas or by repeating the option."
    )
    var keyspace: [String] = []
    @Option(name: .long, help: "How many stores.") var stores = 3
    @Option(name: .long, help: "The address to listen on.") var host = "127.0.0.1"
    @Option(
        name: .long,
        help: "Where regions begin, raw keys by commas (text with escapes: \\x2c is a comma); may be repeated."
    )
    var splitKeys: [String] = []
    @Option(
        name: .long,
        help: "The same for keys of transactions, which are encoded in another way than raw ones are."
    )
    var txnSplitKeys: [String] = []
    @OptionGroup var version: APIVersionOption
    @OptionGroup var tls: PlaygroundTLSOptions
    @OptionGroup var logging: LoggingOptions

    func validate() throws {
        guard self.keyspaces.isEmpty || self.version.apiVersion == .v2 else {
            throw ValidationError("--keyspace needs --api-version v2")
        }
        guard Set(self.keyspaces).count == self.keyspaces.count, !self.keyspaces.contains("DEFAULT") else {
            throw ValidationError("--keyspace names a keyspace twice, or DEFAULT, which is there anyway")
        }
        guard (0...65_535).contains(self.pdPort) else {
            throw ValidationError("--pd-port must be from 0 to 65535")
        }
        guard (1...100).contains(self.stores) else {
            throw ValidationError("--stores must be from 1 to 100")
        }
        guard (1...7).contains(self.pdMembers) else {
            throw ValidationError("--pd-members must be from 1 to 7")
        }
        _ = try self.parsed(self.splitKeys)
        _ = try self.parsed(self.txnSplitKeys)
    }

    private var keyspaces: [String] {
        self.keyspace.flatMap { $0.split(separator: ",", omittingEmptySubsequences: true).map(String.init) }
    }

    func run() async throws {
        // Before anything is up, so that a signal that comes early ends the command as a late one does.
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        var configuration = EmbeddedCluster.Configuration()
        configuration.host = self.host
        configuration.pdPort = self.pdPort
        configuration.pdMembers = self.pdMembers
        configuration.storeCount = self.stores
        configuration.apiVersion = self.storeVersion
        configuration.splitKeys =
            try self.parsed(self.splitKeys).map { self.storeVersion.regionKey(forRaw: $0) }
            + self.parsed(self.txnSplitKeys).map { self.storeVersion.regionKey(forTransactional: $0) }
        configuration.tls = try self.tls.configuration(host: self.host)
        configuration.logger = self.logging.logger("playground")
        let stores = self.stores
        let keyspaces = self.keyspaces
        try await EmbeddedCluster.withCluster(configuration) { cluster in
            for name in keyspaces { try cluster.createKeyspace(name) }
            let endpoints = cluster.pdEndpoints.joined(separator: ",")
            try StandardStream.output.write("ready pd=\(endpoints) stores=\(stores)\n")
            for await _ in signals {
                break
            }
        }
    }

    private var storeVersion: EmbeddedCluster.APIVersion {
        switch self.version.apiVersion {
        case .v2: .v2
        case .v1ttl: .v1ttl
        default: .v1
        }
    }

    private func parsed(_ keys: [String]) throws -> [[UInt8]] {
        try keys.flatMap { $0.split(separator: ",") }.map { key in
            do throws(ByteNotation.Malformed) {
                return try ByteNotation.text.read(key.utf8)
            } catch {
                throw ValidationError("the split key '\(key)' \(error.reason)")
            }
        }
    }
}
