// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV
import TiKVEmbedded

/// Money is moved between accounts while the cluster is in ``Trouble``: none may be made or lost.
///
/// Each transfer writes a record of itself in the same transaction. So each one that was acknowledged must have left its
/// record, each that was refused none, each of unknown outcome either; and whatever snapshot is looked at, the balances in it
/// are what the records in it make of them, which a transfer done by half or twice would break.
package struct BankRun: Sendable {
    package var seed: UInt64
    package var transfers = 20_000
    package var accounts = 1_000
    package var workers = 8
    /// What every account holds in the beginning.
    package var balance = 1_000

    package init(seed: UInt64, transfers: Int = 20_000, accounts: Int = 1_000) {
        self.seed = seed
        self.transfers = transfers
        self.accounts = accounts
    }

    private struct Transfer: Sendable, Hashable {
        var from: Int
        var to: Int
        var amount: Int
    }

    private enum Outcome: Sendable {
        case acknowledged
        /// There was not enough money: nothing was written.
        case declined
        case refused
        case undetermined
    }

    private struct Broken: Error {
        var text: String
    }

    // MARK: - Running

    package func run() async throws -> ChaosReport {
        let report = SharedReport()
        let splits = (1..<8).map { Self.encoded(self.account($0 * self.accounts / 8).bytes) }
        let accounts = self.accounts
        let seed = self.seed
        try await EmbeddedCluster.withCluster(.init(splitKeys: splits, pdMembers: 3)) { cluster in
            cluster.scatterLeaders()
            try await TransactionClient.withClient(
                pd: cluster.pdEndpoints, configuration: Self.configuration
            ) { client in
                try await self.fill(client)
                let progress = Progress()
                let moments = Shared([try await client.currentTimestamp()])
                let trouble = Trouble(
                    cluster: cluster, seed: seed,
                    splitKey: { random in
                        // Most between accounts, some between the transfers' records.
                        let number = Int.random(in: 0..<accounts, using: &random)
                        let key = random.chance(85) ? Self.account(number) : Self.record(number % 8, number * 5)
                        return Self.encoded(key.bytes)
                    })
                var outcomes: [Key: (Transfer, Outcome)] = [:]
                try await withThrowingTaskGroup(of: [Key: (Transfer, Outcome)].self) { group in
                    group.addTask {
                        try await trouble.run(progress, report)
                        return [:]
                    }
                    group.addTask {
                        await self.audit(client, progress, moments, report)
                        return [:]
                    }
                    try await withThrowingTaskGroup(of: [Key: (Transfer, Outcome)].self) { working in
                        for worker in 0..<self.workers {
                            working.addTask {
                                try await self.work(worker, client, cluster.pdEndpoints, progress, report)
                            }
                        }
                        for try await some in working { outcomes.merge(some) { first, _ in first } }
                    }
                    progress.end()
                    try await group.waitForAll()
                }
                for (kind, count) in client.commitCounts { report.add("commits: \(kind)", count) }
                try await self.check(client, outcomes, moments.value, report)
            }
        }
        return report.value
    }

    private static var configuration: ClientConfiguration {
        var configuration = ClientConfiguration(requestTimeout: .seconds(2))
        // An answer that is lost costs this long.
        configuration.transaction.commitTimeout = .seconds(1)
        configuration.transaction.scanPageSize = 200
        return configuration
    }

    private func fill(_ client: TransactionClient) async throws {
        try await client.withTransaction { transaction in
            for number in 0..<self.accounts {
                try await transaction.put(self.account(number), value: Value("\(self.balance)"))
            }
        }
    }

    // MARK: - Workers

    private func work(
        _ worker: Int, _ shared: TransactionClient, _ endpoints: [String], _ progress: Progress, _ report: SharedReport
    ) async throws -> [Key: (Transfer, Outcome)] {
        let count = self.transfers / self.workers + (worker < self.transfers % self.workers ? 1 : 0)
        var random = ChaosRandom(self.seed, stream: worker)
        var outcomes: [Key: (Transfer, Outcome)] = [:]
        var number = 0
        // The last two come and go: what their clients did not come to in the background, others clean up.
        let chunk = worker >= self.workers - 2 ? 200 : count
        while number < count {
            let end = min(count, number + chunk)
            if chunk == count {
                try await self.transfer(&number, to: end, worker, shared, &random, &outcomes, progress, report)
            } else {
                var state = (number, random, outcomes)
                try await TransactionClient.withClient(pd: endpoints, configuration: Self.configuration) { client in
                    try await self.transfer(
                        &state.0, to: end, worker, client, &state.1, &state.2, progress, report)
                }
                (number, random, outcomes) = state
            }
        }
        return outcomes
    }

    private func transfer(
        _ number: inout Int, to end: Int, _ worker: Int, _ client: TransactionClient, _ random: inout ChaosRandom,
        _ outcomes: inout [Key: (Transfer, Outcome)], _ progress: Progress, _ report: SharedReport
    ) async throws {
        while number < end {
            let transfer = self.draw(&random)
            let key = Self.record(worker, number)
            // All protocols take part, and side by side.
            let options = TransactionOptions(
                kind: Bool.random(using: &random) ? .pessimistic : .optimistic, asyncCommit: random.chance(50),
                onePhaseCommit: random.chance(50), guaranteesLinearizability: random.chance(70))
            let isCancelled = random.chance(1)
            let outcome: Outcome
            if isCancelled {
                outcome = try await self.cancelled(transfer, key, options, client, progress, report)
            } else {
                outcome = try await self.attempt(transfer, key, options, client, report)
            }
            outcomes[key] = (transfer, outcome)
            report.add("transfers")
            switch outcome {
            case .acknowledged: report.add("acknowledged")
            case .declined: report.add("declined")
            case .refused: report.add("refused")
            case .undetermined: report.add("undetermined")
            }
            if !isCancelled { progress.step() }
            number += 1
        }
    }

    /// A transfer, a third of them between few accounts that many want.
    private func draw(_ random: inout ChaosRandom) -> Transfer {
        let isHot = random.chance(33)
        let range = isHot ? 0..<min(10, self.accounts) : 0..<self.accounts
        func pick(_ random: inout ChaosRandom) -> Int {
            let number = Int.random(in: range, using: &random)
            // Hot ones lie in different regions.
            return isHot ? number * self.accounts / 10 : number
        }
        let from = pick(&random)
        var to = pick(&random)
        while to == from { to = pick(&random) }
        return Transfer(from: from, to: to, amount: Int.random(in: 1...100, using: &random))
    }

    private func attempt(
        _ transfer: Transfer, _ record: Key, _ options: TransactionOptions, _ client: TransactionClient,
        _ report: SharedReport
    ) async throws -> Outcome {
        let attempts = Shared(0)
        defer { report.add("attempts", attempts.value) }
        do {
            let isDone = try await client.withTransaction(options, timeout: .seconds(20)) { transaction in
                attempts.change { $0 += 1 }
                do {
                    return try await self.move(transfer, record, options.kind == .pessimistic, transaction)
                } catch let error as TiKVError {
                    self.count(error, report)
                    throw error
                }
            }
            return isDone ? .acknowledged : .declined
        } catch let error as TiKVError {
            report.add("failed: \(error.code)")
            if error.code == .writeConflict { report.add("conflicts") }
            return error.isOutcomeUnknown ? .undetermined : .refused
        }
    }

    private func count(_ error: TiKVError, _ report: SharedReport) {
        if error.code == .deadlock { report.add("deadlocks") }
        if error.code == .writeConflict { report.add("conflicts") }
    }

    /// - Returns: false where there is not enough money.
    private func move(
        _ transfer: Transfer, _ record: Key, _ isPessimistic: Bool, _ transaction: Transaction
    ) async throws -> Bool {
        let (fromKey, toKey) = (self.account(transfer.from), self.account(transfer.to))
        let from: Value?
        let to: Value?
        if isPessimistic {
            // In the order of the transfer, and not of the keys, so that there are deadlocks.
            from = try await transaction.getForUpdate(fromKey)
            to = try await transaction.getForUpdate(toKey)
        } else {
            let both = try await transaction.batchGet([fromKey, toKey])
            (from, to) = (both[fromKey], both[toKey])
        }
        guard let source = from.flatMap(Self.number), let target = to.flatMap(Self.number) else {
            throw Broken(text: "an account is gone: \(transfer)")
        }
        guard source >= transfer.amount else { return false }
        try await transaction.put(fromKey, value: Value("\(source - transfer.amount)"))
        try await transaction.put(toKey, value: Value("\(target + transfer.amount)"))
        try await transaction.insert(record, value: Value("\(transfer.from) \(transfer.to) \(transfer.amount)"))
        return true
    }

    /// A transfer whose task is cancelled somewhere on its way.
    private func cancelled(
        _ transfer: Transfer, _ record: Key, _ options: TransactionOptions, _ client: TransactionClient,
        _ progress: Progress, _ report: SharedReport
    ) async throws -> Outcome {
        report.add("cancelled")
        // Known before anything is done, so that whoever waits for it can't wait in vain.
        let next = progress.count + 1
        return try await withThrowingTaskGroup(of: Outcome?.self) { group in
            group.addTask {
                defer { progress.step() }
                return try await self.attempt(transfer, record, options, client, report)
            }
            group.addTask {
                _ = await progress.wait(until: next)
                return nil
            }
            var outcome: Outcome?
            for try await one in group {
                if one == nil { group.cancelAll() }
                outcome = outcome ?? one
            }
            return outcome ?? .undetermined
        }
    }

    // MARK: - Looking

    private func audit(
        _ client: TransactionClient, _ progress: Progress, _ moments: Shared<[Timestamp]>, _ report: SharedReport
    ) async {
        var number = 0
        while await progress.waitForMore(40) {
            do {
                let timestamp = try await client.currentTimestamp()
                let snapshot = client.snapshot(at: timestamp, options: .init(isCached: false))
                var total = 0
                var count = 0
                if number % 3 == 2 {
                    let keys = (0..<self.accounts).map { self.account($0) }
                    for value in try await snapshot.batchGet(keys).values {
                        total += Self.number(value) ?? 0
                        count += 1
                    }
                } else {
                    for try await (_, value) in snapshot.scan(Self.allAccounts, reversed: number % 3 == 1) {
                        total += Self.number(value) ?? 0
                        count += 1
                    }
                }
                report.add("audits")
                if total != self.balance * self.accounts || count != self.accounts {
                    report.problem("seed \(self.seed): at \(timestamp) \(count) accounts hold \(total)")
                }
                number += 1
                if number % 50 == 0 { moments.change { $0.append(timestamp) } }
            } catch {
                report.add("audits without an answer")
            }
        }
    }

    /// What must be true in the end.
    private func check(
        _ client: TransactionClient, _ outcomes: [Key: (Transfer, Outcome)], _ moments: [Timestamp],
        _ report: SharedReport
    ) async throws {
        let now = try await client.currentTimestamp(timeout: .seconds(30))
        var found: [Key: Transfer] = [:]
        for moment in moments.suffix(8) + [now] {
            let snapshot = client.snapshot(at: moment)
            found = [:]
            var expected = Array(repeating: self.balance, count: self.accounts)
            for try await (key, value) in snapshot.scan(.prefix("record/"), timeout: .seconds(60)) {
                guard let transfer = Self.transfer(value) else {
                    report.problem("seed \(self.seed): a record is broken")
                    continue
                }
                found[key] = transfer
                expected[transfer.from] -= transfer.amount
                expected[transfer.to] += transfer.amount
            }
            var number = 0
            for try await (key, value) in snapshot.scan(Self.allAccounts, timeout: .seconds(60)) {
                if number >= self.accounts || key != self.account(number) || Self.number(value) != expected[number] {
                    report.problem(
                        "seed \(self.seed): at \(moment) account \(number) is not what the records make of it")
                }
                number += 1
            }
            if number != self.accounts { report.problem("seed \(self.seed): \(number) accounts at \(moment)") }
        }
        for (key, (transfer, outcome)) in outcomes {
            let record = found.removeValue(forKey: key)
            if let record, record != transfer { report.problem("seed \(self.seed): another transfer's record") }
            switch (outcome, record) {
            case (.acknowledged, nil):
                report.problem("seed \(self.seed): acknowledged and lost: \(key.debugDescription)")
            case (.declined, _?), (.refused, _?):
                report.problem("seed \(self.seed): done although it was refused: \(key.debugDescription)")
            case (.undetermined, _?): report.add("undetermined and done")
            case (.acknowledged, _?), (.declined, nil), (.refused, nil), (.undetermined, nil): break
            }
        }
        if !found.isEmpty { report.problem("seed \(self.seed): \(found.count) records of nobody") }
    }

    // MARK: - Keys and values

    private static let allAccounts = KeyRange.prefix("account/")

    private static func padded(_ number: Int) -> String {
        let digits = "\(number)"
        return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }

    private static func account(_ number: Int) -> Key { Key("account/\(self.padded(number))") }
    private func account(_ number: Int) -> Key { Self.account(number) }
    private static func record(_ worker: Int, _ number: Int) -> Key { Key("record/\(worker)/\(self.padded(number))") }

    private static func number(_ value: Value) -> Int? { Int(String(decoding: value.bytes, as: UTF8.self)) }

    private static func transfer(_ value: Value) -> Transfer? {
        let numbers = String(decoding: value.bytes, as: UTF8.self).split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 3 else { return nil }
        return Transfer(from: numbers[0], to: numbers[1], amount: numbers[2])
    }

    static func encoded(_ key: [UInt8]) -> [UInt8] { EmbeddedCluster.APIVersion.v1.regionKey(forTransactional: key) }
}
