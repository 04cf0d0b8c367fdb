// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct BenchTxnCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "txn",
        abstract: "Measure transactions: throughput, latencies, and this process's processor time for each.",
        discussion: """
            Writes its keys first where they are to be read (bench/00000000 and on), then works on them at random, and \
            leaves them there. A cluster in another process makes the processor time that of the client alone.

              write       a transaction that writes --batch-size keys, spread over all there are
              update      a transaction that reads a key and writes it, run again after a conflict
              hot         the same, all of them the same key
              get         a value of a snapshot of its own, whose timestamp is fetched first
              get-latest  a value of the latest state, for which no timestamp is needed
              batch-get   --batch-size values of a snapshot, spread over all there are
              scan        --batch-size pairs of a snapshot, one after the other
            """
    )

    enum Operation: String, ExpressibleByArgument, CaseIterable {
        case write
        case update
        case hot
        case get
        case getLatest = "get-latest"
        case batchGet = "batch-get"
        case scan
    }

    /// How the client commits where it may: each falls back to the one before it where its conditions are not met.
    enum CommitProtocol: String, ExpressibleByArgument, CaseIterable {
        case twoPhase = "two-phase"
        case async
        case onePhase = "one-phase"
    }

    @Option(name: .long, help: "What to measure, see above.") var operation: Operation
    @Option(
        name: .long,
        help: "How to commit: two-phase; async, done when all is prewritten; one-phase, where one request is enough.")
    var commit = CommitProtocol.twoPhase
    @Flag(name: .long, help: "Locks keys before they are written.") var pessimistic = false
    @Flag(name: .long, help: "Transactions of this process wait for each other before they commit.") var latches = false
    @Option(name: .long, help: "How many operations are under way at once.") var inFlight = 16
    @Option(
        name: .long,
        help: "Where the calling tasks run: global, as tasks do, or loop, which is the client's own executor."
    )
    var place = BenchRawCommand.Place.global
    @Option(name: .long, help: "How long to measure, in seconds.", transform: parseSeconds)
    var seconds: Duration = .seconds(5)
    @Option(name: .long, help: "How many operations to measure, in place of --seconds.") var count: Int?
    @Option(name: .long, help: "How long to go on unmeasured first, in seconds.", transform: parseSeconds)
    var warmUp: Duration = .seconds(1)
    @Option(name: .long, help: "How many keys there are.") var keys = 10_000
    @Option(name: .long, help: "Bytes in a value.") var valueSize = 100
    @Option(name: .long, help: "Keys of a write, a batch or a scan.") var batchSize = 1
    @Flag(name: .long, help: "Print the result as one JSON object.") var json = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard self.inFlight > 0, self.keys > 0, self.valueSize > 0, self.count ?? 1 > 0, self.batchSize > 0 else {
            throw ValidationError("--in-flight, --keys, --value-size, --batch-size and --count must be more than 0")
        }
        guard self.batchSize <= self.keys else {
            throw ValidationError("--batch-size must not be more than --keys")
        }
    }

    func run() async throws {
        let plan = BenchPlan(
            inFlight: self.inFlight, keys: self.keys, valueSize: self.valueSize, batchSize: self.batchSize,
            place: self.place)
        let load = BenchTxnLoad(
            operation: self.operation, isPessimistic: self.pessimistic, commit: self.commit, plan: plan)
        let settings = ClientConfiguration.Transaction(usesLocalLatches: self.latches, maximumAttempts: .max)
        let result = try await self.connection.withTransactionClient(settings) { client in
            try await load.fill(client)
            if self.warmUp > .zero { _ = try await load.run(client, until: .elapsed(self.warmUp)) }
            return try await load.run(client, until: self.count.map { .count($0) } ?? .elapsed(self.seconds))
        }
        try StandardStream.output.write(self.json ? result.json + "\n" : result.text)
    }
}
