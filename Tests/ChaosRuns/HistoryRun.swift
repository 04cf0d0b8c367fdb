// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import HistoryChecker
import TiKV
import TiKVEmbedded

/// Random transactions over few keys, while the cluster is in ``Trouble``. What they were told must be a history of
/// snapshot isolation in which what has ended is seen by all that begins later.
///
/// Lists show in which order their elements were added; registers do so by the timestamps of the commits. Optimistic
/// transactions read the state at which they began; pessimistic ones lock all that they read, as otherwise they would see
/// more than one moment.
package struct HistoryRun: Sendable {
    package var seed: UInt64
    package var transactions = 400
    package var workers = 6
    package var lists = 5
    package var registers = 4

    package init(seed: UInt64, transactions: Int = 400) {
        self.seed = seed
        self.transactions = transactions
    }

    // MARK: - Running

    package func run() async throws -> ChaosReport {
        let report = SharedReport()
        let keys = self.keys
        let splits = [keys[1], keys[3], keys[5], keys[7]].map { Self.encoded($0) }
        let seed = self.seed
        try await EmbeddedCluster.withCluster(.init(splitKeys: splits, pdMembers: 3)) { cluster in
            cluster.scatterLeaders()
            var history = History()
            try await TransactionClient.withClient(
                pd: cluster.pdEndpoints, configuration: Self.configuration
            ) { client in
                let progress = Progress()
                let events = Shared(0)
                var rates = Trouble.Rates()
                rates.lostRequests = 5
                rates.lostAnswers = 15
                rates.cutConnections = 30
                rates.lateRequests = 150
                rates.lateAnswers = 150
                rates.repeated = 200
                rates.regionErrors = 100
                let trouble = Trouble(
                    cluster: cluster, seed: seed,
                    splitKey: { random in
                        let key = keys[Int.random(in: 0..<keys.count, using: &random)]
                        return Self.encoded(key + (random.chance(50) ? "" : "!"))
                    }, rates: rates, interval: 12, regions: 2...12)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await trouble.run(progress, report) }
                    await withTaskGroup(of: [History.Transaction].self) { working in
                        for worker in 0..<self.workers {
                            working.addTask { await self.work(worker, client, events, progress, report) }
                        }
                        for await some in working { history.transactions += some }
                    }
                    progress.end()
                    try await group.waitForAll()
                }
                for (kind, count) in client.commitCounts { report.add("commits: \(kind)", count) }
                // All that was written is seen by somebody.
                history.transactions.append(try await self.look(client, events, id: -1, timeout: .seconds(60)))
            }
            let operations = history.transactions.reduce(0) { $0 + $1.operations.count }
            report.add("operations", operations)
            for violation in SnapshotIsolationChecker.violations(of: history) {
                report.problem("seed \(seed): \(violation)")
            }
        }
        return report.value
    }

    private static var configuration: ClientConfiguration {
        var configuration = ClientConfiguration(requestTimeout: .seconds(2))
        configuration.transaction.commitTimeout = .seconds(1)
        configuration.transaction.scanPageSize = 3
        return configuration
    }

    // MARK: - Workers

    private func work(
        _ worker: Int, _ client: TransactionClient, _ events: Shared<Int>, _ progress: Progress,
        _ report: SharedReport
    ) async -> [History.Transaction] {
        var random = ChaosRandom(self.seed, stream: worker)
        var done: [History.Transaction] = []
        let count = self.transactions / self.workers + (worker < self.transactions % self.workers ? 1 : 0)
        for number in 0..<count {
            let id = worker * 100_000 + number
            report.add("transactions")
            let kind = Int.random(in: 0..<10, using: &random)
            let transaction: History.Transaction
            if kind < 2 {
                do {
                    transaction = try await self.look(client, events, id: id, timeout: nil)
                } catch {
                    report.add("reads without an answer")
                    progress.step()
                    continue
                }
            } else {
                let steps = self.steps(id, &random)
                // All protocols take part, and side by side.
                let options = TransactionOptions(
                    kind: kind < 5 ? .pessimistic : .optimistic, asyncCommit: random.chance(50),
                    onePhaseCommit: random.chance(50), guaranteesLinearizability: random.chance(50))
                transaction = await self.change(id, steps, options, client, events, report)
            }
            switch transaction.outcome {
            case .committed: report.add("acknowledged")
            case .aborted: report.add("refused")
            case .unknown: report.add("undetermined")
            }
            done.append(transaction)
            progress.step()
        }
        return done
    }

    private enum Step: Sendable {
        case append(Int, Int)
        case readList(Int)
        case write(Int, Int)
        case read(Int)
    }

    /// What a transaction does; every value is written once in the whole run.
    private func steps(_ id: Int, _ random: inout ChaosRandom) -> [Step] {
        (0..<Int.random(in: 1...4, using: &random)).map { place in
            let value = id * 10 + place
            let list = Int.random(in: 0..<self.lists, using: &random)
            let register = Int.random(in: 0..<self.registers, using: &random)
            return switch Int.random(in: 0..<10, using: &random) {
            case 0..<4: .append(list, value)
            case 4..<6: .readList(list)
            case 6..<8: .write(register, value)
            default: .read(register)
            }
        }
    }

    /// A transaction that reads and writes.
    private func change(
        _ id: Int, _ steps: [Step], _ options: TransactionOptions, _ client: TransactionClient, _ events: Shared<Int>,
        _ report: SharedReport
    ) async -> History.Transaction {
        var operations: [History.Operation] = []
        let begin = Self.next(events)
        var result = History.Transaction(id, [], .aborted)
        var transaction: Transaction?
        do throws(TiKVError) {
            let begun = try await client.begin(options)
            transaction = begun
            for step in steps {
                try await Self.perform(step, begun, isPessimistic: options.kind == .pessimistic, &operations)
            }
            let timestamp = try await begun.commit()
            result.outcome = .committed
            result.commitTimestamp = timestamp?.rawValue
            result.span = begin...Self.next(events)
        } catch {
            if error.isOutcomeUnknown { result.outcome = .unknown }
            switch error.code {
            case .writeConflict: report.add("conflicts")
            case .deadlock: report.add("deadlocks")
            default: report.add("failed: \(error.code)")
            }
            await transaction?.rollback()
        }
        result.operations = operations
        return result
    }

    private static func perform(
        _ step: Step, _ transaction: Transaction, isPessimistic: Bool, _ operations: inout [History.Operation]
    ) async throws(TiKVError) {
        func get(_ key: String) async throws(TiKVError) -> Value? {
            if isPessimistic { return try await transaction.getForUpdate(Key(key)) }
            return try await transaction.get(Key(key))
        }
        switch step {
        case .append(let list, let value):
            let key = Self.list(list)
            let before = Self.elements(try await get(key))
            operations.append(.readList(key: key, before))
            let text = (before + [value]).map(String.init).joined(separator: " ")
            try await transaction.put(Key(key), value: Value(text))
            operations.append(.append(key: key, value))
        case .readList(let list):
            operations.append(.readList(key: Self.list(list), Self.elements(try await get(Self.list(list)))))
        case .write(let register, let value):
            let key = Self.register(register)
            try await transaction.put(Key(key), value: Value("\(value)"))
            operations.append(.write(key: key, value))
        case .read(let register):
            let key = Self.register(register)
            operations.append(.read(key: key, Self.elements(try await get(key)).first))
        }
    }

    /// A look at everything at one moment, by a scan or key by key.
    private func look(
        _ client: TransactionClient, _ events: Shared<Int>, id: Int, timeout: Duration?
    ) async throws -> History.Transaction {
        let begin = Self.next(events)
        let snapshot = client.snapshot(at: try await client.currentTimestamp(timeout: timeout))
        var values: [String: Value] = [:]
        if id % 2 == 0 {
            for (key, value) in try await snapshot.batchGet(self.keys.map { Key($0) }, timeout: timeout) {
                values[String(decoding: key.bytes, as: UTF8.self)] = value
            }
        } else {
            for try await (key, value) in snapshot.scan(.prefix("h/"), reversed: id % 4 == 1, timeout: timeout) {
                values[String(decoding: key.bytes, as: UTF8.self)] = value
            }
        }
        var operations: [History.Operation] = []
        for list in 0..<self.lists {
            operations.append(.readList(key: Self.list(list), Self.elements(values[Self.list(list)])))
        }
        for register in 0..<self.registers {
            let key = Self.register(register)
            operations.append(.read(key: key, Self.elements(values[key]).first))
        }
        return History.Transaction(id, operations, span: begin...Self.next(events))
    }

    // MARK: - Keys and values

    private var keys: [String] {
        (0..<self.lists).map(Self.list) + (0..<self.registers).map(Self.register)
    }

    private static func list(_ number: Int) -> String { "h/list-\(number)" }
    private static func register(_ number: Int) -> String { "h/register-\(number)" }

    private static func elements(_ value: Value?) -> [Int] {
        guard let value else { return [] }
        return String(decoding: value.bytes, as: UTF8.self).split(separator: " ").compactMap { Int($0) }
    }

    private static func encoded(_ key: String) -> [UInt8] {
        EmbeddedCluster.APIVersion.v1.regionKey(forTransactional: Array(key.utf8))
    }

    /// The next of the numbers by which it is told what came before what.
    private static func next(_ events: Shared<Int>) -> Int {
        var number = 0
        events.change {
            $0 += 1
            number = $0
        }
        return number
    }
}
