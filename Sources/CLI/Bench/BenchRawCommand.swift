// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct BenchRawCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "raw",
        abstract: "Measure raw operations: throughput, latencies, and this process's processor time for each.",
        discussion: """
            Writes its keys first (bench/00000000 and on), then reads or writes them at random, and leaves them there. A \
            cluster in another process makes the processor time that of the client alone. Batches and scans are of \
            --batch-size keys, and one of them counts once; the batches' keys are spread over all there are.
            """
    )

    enum Operation: String, ExpressibleByArgument, CaseIterable {
        case get
        case put
        case batchGet = "batch-get"
        case batchPut = "batch-put"
        case scan
    }

    enum Place: String, ExpressibleByArgument, CaseIterable {
        /// The process's own pool of threads, as any task has it.
        case global
        /// The event loops that the client's connections are on.
        case loop
    }

    @Option(name: .long, help: "What to measure: get, put, batch-get, batch-put or scan.") var operation: Operation
    @Option(name: .long, help: "How many operations are under way at once.") var inFlight = 16
    @Option(
        name: .long,
        help: "Where the calling tasks run: global, as tasks do, or loop, which is the client's own executor."
    )
    var place = Place.global
    @Option(name: .long, help: "How long to measure, in seconds.", transform: parseSeconds)
    var seconds: Duration = .seconds(5)
    @Option(name: .long, help: "How many operations to measure, in place of --seconds.") var count: Int?
    @Option(name: .long, help: "How long to go on unmeasured first, in seconds.", transform: parseSeconds)
    var warmUp: Duration = .seconds(1)
    @Option(name: .long, help: "How many keys there are.") var keys = 10_000
    @Option(name: .long, help: "Bytes in a value.") var valueSize = 100
    @Option(name: .long, help: "Keys in a batch or a scan.") var batchSize = 100
    @Flag(name: .long, help: "Print the result as one JSON object.") var json = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard self.inFlight > 0, self.keys > 0, self.valueSize > 0, self.count ?? 1 > 0, self.batchSize > 0 else {
            throw ValidationError("--in-flight, --keys, --value-size, --batch-size and --count must be more than 0")
        }
        // A single get or put has no use for it.
        guard [.get, .put].contains(self.operation) || self.batchSize <= self.keys else {
            throw ValidationError("--batch-size must not be more than --keys")
        }
    }

    func run() async throws {
        let plan = BenchPlan(
            inFlight: self.inFlight, keys: self.keys, valueSize: self.valueSize, batchSize: self.batchSize,
            place: self.place)
        let load = BenchLoad(operation: self.operation, plan: plan)
        let result = try await self.connection.withRawClient { client in
            try await load.fill(client)
            _ = try await load.run(client, until: .elapsed(self.warmUp))
            return try await load.run(client, until: self.count.map { .count($0) } ?? .elapsed(self.seconds))
        }
        try StandardStream.output.write(self.json ? result.json + "\n" : result.text)
    }
}
