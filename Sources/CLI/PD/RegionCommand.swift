// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKVPD

struct RegionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "region",
        abstract: "Show a cluster's regions as PD knows them, and change them.",
        subcommands: [
            RegionListCommand.self, RegionGetCommand.self, RegionSplitCommand.self, RegionScatterCommand.self,
        ]
    )

    /// A line for a region: id, start key, end key, leader's store, all stores, version and configuration version.
    static func line(_ region: RegionDescription, _ notation: ByteNotation) -> String {
        let stores = region.peers.map { "\($0.storeID)" }.joined(separator: ",")
        let fields = [
            "\(region.id)", notation.describe(region.startKey), notation.describe(region.endKey),
            region.leader.map { "\($0.storeID)" } ?? "-", stores, "\(region.epoch.version)", "\(region.epoch.confVer)",
        ]
        return fields.joined(separator: "\t") + "\n"
    }
}

struct RegionListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show regions in the order of their keys.",
        discussion: """
            A line each: id, start key, end key (empty at the ends of all keys), the store of the leader, the stores of all \
            peers, the version and the version of the configuration; separated by tabs. Keys are as PD has them.
            """
    )

    @Option(name: .long, help: "At most this many.") var limit = 0
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard self.limit >= 0 else { throw ValidationError("--limit must not be negative") }
    }

    func run() async throws {
        let notation = self.notation.notation
        try await self.connection.withPDClient { client in
            let regions = try await client.scanRegions(
                KeySpan(start: [], end: []), limit: self.limit, deadline: self.connection.deadline)
            var output = BufferedOutput()
            for region in regions { try output.append(RegionCommand.line(region, notation).utf8) }
            try output.flush()
        }
    }
}

struct RegionGetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Show the region of a key, or the one with an id.",
        discussion: "A line as `region list` prints it. Exit code 1 where there is none."
    )

    @Argument(help: "The key, as PD has it.") var key: String?
    @Option(name: .long, help: "The region's id, in place of a key.") var id: UInt64?
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard (self.key == nil) != (self.id == nil) else { throw ValidationError("give a key or --id") }
    }

    func run() async throws {
        let key = try self.key.map { try self.notation.bytes($0, "key") }
        let found = try await self.connection.withPDClient { client in
            if let id = self.id { return try await client.region(id: id, deadline: self.connection.deadline) }
            return try await client.region(for: key ?? [], deadline: self.connection.deadline)
        }
        guard let found else { throw CommandFailure.absent("there is no such region") }
        try StandardStream.output.write(RegionCommand.line(found, self.notation.notation))
    }
}

struct RegionSplitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "split", abstract: "Split regions at keys; prints the ids of what came of it, a line each.")

    @Argument(help: "Where regions are to begin, as PD has keys.") var keys: [String]
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let keys = try self.keys.map { try self.notation.bytes($0, "key") }
        let split = try await self.connection.withPDClient { client in
            try await client.splitRegions(at: keys, deadline: self.connection.deadline)
        }
        try StandardStream.output.write(split.regionIDs.map { "\($0)\n" }.joined())
        guard split.finishedPercentage == 100 else {
            throw CommandFailure("\(split.finishedPercentage) % of the splits are done")
        }
    }
}

struct RegionScatterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scatter", abstract: "Make PD spread regions over the stores.")

    @Argument(help: "The regions' ids.") var ids: [UInt64]
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let scatter = try await self.connection.withPDClient { client in
            try await client.scatterRegions(self.ids, deadline: self.connection.deadline)
        }
        guard scatter.failedRegionIDs.isEmpty else {
            let ids = scatter.failedRegionIDs.map { "\($0)" }.joined(separator: ", ")
            throw CommandFailure("PD does not scatter these regions: \(ids)")
        }
    }
}
