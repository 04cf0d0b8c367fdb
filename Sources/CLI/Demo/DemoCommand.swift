// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV
import TiKVEmbedded

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Start an embedded cluster and show the client at work on it.",
        discussion: """
            Imports the Unicode character table, reads it back in several ways, splits regions and moves leaders while reads \
            and writes go on. Then, on another cluster, moves money between accounts while regions split, runs a transaction \
            again after a conflict, and has one wait for another's lock. Ends with a table of counts, latencies and errors. \
            Exit code 0 when there was no error.
            """
    )

    @Option(name: .long, help: "The file with the records, as Unicode publishes it.") var data = DemoData.defaultPath
    @Option(name: .long, help: "How many stores the cluster has; at least 2, or no leader could move.") var stores = 3
    @OptionGroup var logging: LoggingOptions

    /// Where regions begin: the table, and so the work, is spread over six of them.
    private static let splitKeys = ["1000", "12000", "1D000", "2000", "A000"].map { DemoData.key($0).bytes }

    func validate() throws {
        guard (2...100).contains(self.stores) else {
            throw ValidationError("--stores must be from 2 to 100")
        }
    }

    func run() async throws {
        let started = ContinuousClock.now
        let data = try DemoData(path: self.data)
        let logger = self.logging.logger("demo")
        var configuration = EmbeddedCluster.Configuration()
        configuration.storeCount = self.stores
        configuration.splitKeys = Self.splitKeys

        configuration.logger = logger

        var log = try await EmbeddedCluster.withCluster(configuration) { cluster in
            try await RawClient.withClient(pd: cluster.pdEndpoints, logger: logger) { client in
                var demo = Demo(cluster: cluster, client: client, data: data)
                try await demo.run()
                return demo.log
            }
        }

        // Raw and transactional data don't go together in one cluster.
        configuration.splitKeys = []
        log.merge(
            try await EmbeddedCluster.withCluster(configuration) { cluster in
                try await TransactionClient.withClient(pd: cluster.pdEndpoints, logger: logger) { client in
                    var demo = TransactionDemo(cluster: cluster, client: client)
                    try await demo.run()
                    return demo.log
                }
            })

        let duration = Readable.duration(ContinuousClock.now - started)
        try StandardStream.output.write("\n\(log.table)\n")
        guard log.errors == 0 else {
            for complaint in log.complaints {
                try StandardStream.output.write("  \(complaint)\n")
            }
            throw CommandFailure("the demo met \(Readable.count(log.errors)) errors", exitCode: 1)
        }
        try StandardStream.output.write("  \(Readable.count(log.count)) operations in \(duration), no errors\n")
    }
}
