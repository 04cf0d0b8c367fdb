// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@testable import TiKVEmbedded

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Random histories of commands, against what must hold whatever comes.
@Suite struct MVCCPropertyTests {
    /// A transaction as its client sees it.
    private struct Client {
        enum Phase: Equatable {
            case running
            case prewritten
            case committed(UInt64)
            case rolledBack
        }

        var startTS: UInt64
        var keys: [String]
        var isPessimistic: Bool
        var phase = Phase.running
    }

    /// The committed values, the way a naive store would keep them.
    private struct Model {
        var versions: [String: [(commitTS: UInt64, value: String?)]] = [:]

        func value(_ key: String, at timestamp: UInt64) -> String? {
            (self.versions[key] ?? []).filter { $0.commitTS <= timestamp }.max { $0.commitTS < $1.commitTS }?.value
        }
    }

    private static func value(_ key: String, _ startTS: UInt64) -> String? {
        startTS % 5 == 0 ? nil : "\(key)@\(startTS)" + String(repeating: "x", count: startTS % 7 == 0 ? 300 : 0)
    }

    /// Transactions over a few keys in two phases, interleaved at random, with repeated and late requests, rollbacks by
    /// others and reads in between.
    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func committedValuesStay(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var mvcc = MVCCHarness()
        var model = Model()
        var clients: [Client] = []
        var clock: UInt64 = 10
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
        var commits = 0
        for _ in 0..<1500 {
            clock += UInt64.random(in: 1...3, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0, 1:
                let count = Int.random(in: 1...2, using: &random)
                clients.append(
                    Client(
                        startTS: clock, keys: Array(names.shuffled(using: &random).prefix(count)),
                        isPessimistic: Bool.random(using: &random)))
            case 2, 3, 4:
                guard let index = self.someone(clients, &random) else { continue }
                self.prewrite(&clients[index], &mvcc, clock)
            case 5, 6:
                guard let index = self.someone(clients, &random) else { continue }
                clock += 1
                if self.commit(&clients[index], &mvcc, &model, at: clock) { commits += 1 }
            case 7:
                guard let index = self.someone(clients, &random) else { continue }
                self.rollBack(&clients[index], &mvcc, &model)
            case 8:
                // Somebody gets what has been left behind out of the way.
                let old = clients.indices.dropLast(4).first {
                    clients[$0].phase == .running || clients[$0].phase == .prewritten
                }
                if let old { self.rollBack(&clients[old], &mvcc, &model) }
            default:
                guard let key = names.randomElement(using: &random) else { continue }
                let timestamp = UInt64.random(in: 1...clock, using: &random)
                do {
                    #expect(try mvcc.get(key, at: timestamp) == model.value(key, at: timestamp))
                } catch let error as MVCCError {
                    guard case .keyIsLocked = error else {
                        Issue.record("a read failed with \(error)")
                        continue
                    }
                }
            }
        }
        #expect(commits > 2)
        try self.settle(clients, &mvcc, &model)
        for key in names {
            for timestamp in stride(from: UInt64(0), through: clock + 10, by: 7) {
                #expect(try mvcc.get(key, at: timestamp) == model.value(key, at: timestamp))
            }
        }
        try self.checkScans(mvcc, model, names, clock)
        // GC changes nothing for those who read at the safe point or later.
        let safePoint = clock / 2
        _ = try mvcc.engine.collectGarbage(in: EncodedRange(), safePoint: safePoint)
        for key in names {
            for timestamp in stride(from: safePoint, through: clock + 10, by: 5) {
                #expect(try mvcc.get(key, at: timestamp) == model.value(key, at: timestamp))
            }
        }
    }

    /// One of the last transactions, mostly; now and then an old one, as if its request had been on its way for long.
    private func someone(_ clients: [Client], _ random: inout SplitMix) -> Int? {
        let isOld = Int.random(in: 0..<20, using: &random) == 0
        return (isOld ? clients.indices : clients.indices.suffix(4)).randomElement(using: &random)
    }

    private func prewrite(_ client: inout Client, _ mvcc: inout MVCCHarness, _ clock: UInt64) {
        if client.isPessimistic && client.phase == .running {
            for key in client.keys {
                guard
                    (try? mvcc.lock(key, primary: client.keys[0], start: client.startTS, forUpdateTS: clock)) != nil
                else { return }
            }
        }
        let command = PrewriteCommand(
            mutations: client.keys.map { key in
                let value = Self.value(key, client.startTS)
                return Mutation(
                    kind: value == nil ? .delete : .put, key: MVCCHarness.key(key), value: Data((value ?? "").utf8),
                    pessimisticAction: client.isPessimistic ? .check : .skip)
            },
            primary: MVCCHarness.bytes(client.keys[0]), startTS: client.startTS, lockTTL: 1,
            forUpdateTS: client.isPessimistic ? clock : 0, minCommitTS: client.startTS + 1)
        let result = try? mvcc.engine.prewrite(command).value
        if client.phase == .running && result?.locks.isEmpty == true { client.phase = .prewritten }
        if case .rolledBack = client.phase { #expect(result?.locks.isEmpty != true, "prewritten after its rollback") }
    }

    private func commit(
        _ client: inout Client, _ mvcc: inout MVCCHarness, _ model: inout Model, at clock: UInt64
    ) -> Bool {
        let commitTS: UInt64
        switch client.phase {
        case .prewritten: commitTS = clock
        // Again, as after a lost answer.
        case .committed(let earlier): commitTS = earlier
        case .running, .rolledBack: return false
        }
        let isDone = (try? mvcc.commit(client.keys[0], start: client.startTS, at: commitTS)) != nil
        if case .committed = client.phase {
            #expect(isDone, "a commit did not succeed the second time")
            return false
        }
        guard isDone else { return false }
        // From here on it is committed, whoever does the rest.
        client.phase = .committed(commitTS)
        for key in client.keys {
            model.versions[key, default: []].append((commitTS, Self.value(key, client.startTS)))
        }
        for key in client.keys.dropFirst() {
            #expect(throws: Never.self) { try mvcc.commit(key, start: client.startTS, at: commitTS) }
        }
        return true
    }

    private func rollBack(_ client: inout Client, _ mvcc: inout MVCCHarness, _ model: inout Model) {
        let keys = client.keys.map { MVCCHarness.key($0) }
        let isRolledBack = (try? mvcc.engine.rollBack(keys, startTS: client.startTS)) != nil
        if case .committed = client.phase {
            #expect(!isRolledBack, "a committed transaction was rolled back")
        } else if isRolledBack {
            client.phase = .rolledBack
        } else {
            Issue.record("a transaction that is not committed could not be rolled back")
        }
    }

    /// Resolves what is left, by the primaries, as other clients would.
    private func settle(_ clients: [Client], _ mvcc: inout MVCCHarness, _ model: inout Model) throws {
        for client in clients {
            let status = try mvcc.status(client.keys[0], client.startTS, current: .max, rollsBack: true)
            switch status {
            case .committed(let commitTS):
                #expect(client.phase == .committed(commitTS))
                _ = try mvcc.engine.resolve([client.startTS: commitTS], in: EncodedRange())
            case .rolledBack, .ttlExpired, .lockNotExist:
                if case .committed = client.phase { Issue.record("a commit was lost") }
                _ = try mvcc.engine.resolve([client.startTS: 0], in: EncodedRange())
            case .uncommitted, .pessimisticRolledBack, .lockNotExistDoNothing:
                Issue.record("undecided: \(status)")
            }
        }
        #expect(mvcc.engine.store.locks.isEmpty, "locks are left of no transaction")
    }

    private func checkScans(_ mvcc: MVCCHarness, _ model: Model, _ names: [String], _ clock: UInt64) throws {
        for timestamp in stride(from: UInt64(5), through: clock, by: 31) {
            let read = mvcc.read(at: timestamp)
            let expected = names.filter { model.value($0, at: timestamp) != nil }
            for isReversed in [false, true] {
                let found = try read.scan(EncodedRange(), limit: 100, isReversed: isReversed)
                    .map { String(decoding: try $0.get().key, as: UTF8.self) }
                #expect(found == (isReversed ? expected.reversed() : expected))
            }
        }
    }

    /// Async commits and one-phase commits never come in below a read that has been answered.
    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func readsAreRepeatable(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var mvcc = MVCCHarness()
        var clock: UInt64 = 10
        var answers: [(key: String, timestamp: UInt64, value: String?)] = []
        var open: [(startTS: UInt64, key: String)] = []
        let names = ["a", "b", "c"]
        for _ in 0..<800 {
            clock += UInt64.random(in: 1...4, using: &random)
            guard let key = names.randomElement(using: &random) else { continue }
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                let isOnePhase = Bool.random(using: &random)
                let startTS = clock
                let result = try? mvcc.prewrite(
                    key, "\(startTS)", at: startTS,
                    change: { command in
                        command.triesOnePhase = isOnePhase
                        if !isOnePhase { command.secondaries = [] }
                    })
                if result != nil && !isOnePhase { open.append((startTS, key)) }
            case 1:
                guard let index = open.indices.randomElement(using: &random) else { continue }
                let (startTS, key) = open.remove(at: index)
                let commitTS = try #require(mvcc.lockRecord(key)).minCommitTS
                try mvcc.commit(key, start: startTS, at: commitTS)
            default:
                let timestamp = UInt64.random(in: 1...clock, using: &random)
                mvcc.engine.raiseMaxTS(to: timestamp)
                if let value = try? mvcc.get(key, at: timestamp) { answers.append((key, timestamp, value)) }
            }
        }
        for (startTS, key) in open {
            try mvcc.commit(key, start: startTS, at: try #require(mvcc.lockRecord(key)).minCommitTS)
        }
        #expect(answers.count > 100)
        for answer in answers {
            #expect(try mvcc.get(answer.key, at: answer.timestamp) == answer.value)
        }
    }

    /// Whoever waits for a lock comes to an end, and nobody is told to have a lock that somebody else has.
    @Test(arguments: [21, 22, 23, 24] as [UInt64])
    func nobodyWaitsForEver(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var txns = TxnStorageHarness()
        var waiting: [LockWaitToken: (startTS: UInt64, key: String)] = [:]
        var held: [String: UInt64] = [:]
        var grants = 0
        let names = ["a", "b", "c", "d"]
        func take(_ txns: inout TxnStorageHarness) {
            for (token, end) in txns.ended() {
                guard let request = waiting.removeValue(forKey: token) else {
                    Issue.record("somebody was told twice")
                    continue
                }
                if end == "locked" {
                    #expect(held[request.key] == nil)
                    held[request.key] = request.startTS
                    grants += 1
                }
            }
        }
        for step in 1...2000 {
            guard let key = names.randomElement(using: &random) else { continue }
            let startTS = UInt64(step)
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                let owner = held.values.randomElement(using: &random) ?? startTS
                let start =
                    Bool.random(using: &random) && !waiting.values.contains { $0.startTS == owner } ? owner : startTS
                switch txns.ask(key, start: start, forUpdateTS: startTS, force: Bool.random(using: &random)) {
                case .waiting(let token): waiting[token] = (start, key)
                case .finished(let result):
                    if result.failure == nil {
                        #expect(held[key] == nil || held[key] == start)
                        held[key] = start
                    }
                }
            case 2, 3:
                guard let (key, owner) = held.randomElement(using: &random) else { continue }
                held[key] = nil
                try txns.unlock(key, start: owner)
            default:
                txns.advance(by: UInt64.random(in: 1...30, using: &random))
            }
            take(&txns)
            for (key, owner) in held { #expect(txns.holder(key) == [owner]) }
        }
        #expect(grants > 10)
        txns.advance(by: 10_000)
        take(&txns)
        #expect(waiting.isEmpty)
        #expect(txns.storage.nextEvent == nil)
    }
}
