// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import HistoryChecker
import Testing

@Suite
struct HistoryCheckerTests {
    private func violations(_ transactions: History.Transaction...) -> [Violation] {
        SnapshotIsolationChecker.violations(of: History(transactions))
    }

    @Test
    func serialHistoriesAreGood() {
        #expect(
            self.violations(
                .init(1, [.append(key: "x", 1), .append(key: "y", 1)], span: 0...1),
                .init(2, [.readList(key: "x", [1]), .append(key: "x", 2), .readList(key: "x", [1, 2])], span: 2...3),
                .init(3, [.readList(key: "x", [1, 2]), .readList(key: "y", [1])], span: 4...5),
                .init(4, [.append(key: "x", 3)], .aborted)) == [])
        #expect(
            self.violations(
                .init(1, [.write(key: "a", 1)], commitTimestamp: 10),
                .init(2, [.read(key: "a", 1), .write(key: "a", 2), .read(key: "a", 2)], commitTimestamp: 20),
                .init(3, [.read(key: "a", 1), .read(key: "b", nil)])) == [])
    }

    @Test
    func writeSkewIsAllowed() {
        #expect(
            self.violations(
                .init(0, [.append(key: "x", 1), .append(key: "y", 1)]),
                .init(1, [.readList(key: "x", [1]), .readList(key: "y", [1]), .append(key: "x", 2)]),
                .init(2, [.readList(key: "x", [1]), .readList(key: "y", [1]), .append(key: "y", 2)]),
                .init(3, [.readList(key: "x", [1, 2]), .readList(key: "y", [1, 2])])) == [])
    }

    @Test
    func dirtyReadsAreFound() {
        #expect(
            self.violations(
                .init(1, [.append(key: "x", 1)], .aborted), .init(2, [.readList(key: "x", [1])]))
                == [.dirtyRead(reader: 2, writer: 1)])
        #expect(
            self.violations(.init(1, [.write(key: "x", 1)], .aborted), .init(2, [.read(key: "x", 1)]))
                == [.dirtyRead(reader: 2, writer: 1)])
    }

    @Test
    func intermediateReadsAreFound() {
        #expect(
            self.violations(
                .init(1, [.append(key: "x", 1), .append(key: "x", 2)]), .init(2, [.readList(key: "x", [1])]))
                == [.intermediateRead(reader: 2, writer: 1)])
    }

    @Test
    func valuesOfNobodyAreFound() {
        #expect(
            self.violations(.init(1, [.readList(key: "x", [7])])) == [.phantomValue(reader: 1, key: "x", value: 7)])
    }

    @Test
    func readsThatDisagreeAboutTheOrderAreFound() {
        #expect(
            self.violations(
                .init(1, [.append(key: "x", 1)]), .init(2, [.append(key: "x", 2)]),
                .init(3, [.readList(key: "x", [1, 2])]), .init(4, [.readList(key: "x", [2])]))
                == [.incompatibleOrder(key: "x")])
        #expect(
            self.violations(.init(1, [.append(key: "x", 1)]), .init(2, [.readList(key: "x", [1, 1])]))
                == [.incompatibleOrder(key: "x")])
    }

    @Test
    func transactionsThatDoNotSeeThemselvesAreFound() {
        #expect(
            self.violations(.init(1, [.append(key: "x", 1), .readList(key: "x", [])]))
                == [.inconsistentWithItself(1)])
        #expect(
            self.violations(
                .init(1, [.append(key: "x", 1)]), .init(2, [.readList(key: "x", []), .readList(key: "x", [1])]))
                == [.inconsistentWithItself(2)])
    }

    @Test
    func lostUpdatesAreFound() {
        let found = self.violations(
            .init(0, [.append(key: "x", 1)]),
            .init(1, [.readList(key: "x", [1]), .append(key: "x", 2)]),
            .init(2, [.readList(key: "x", [1]), .append(key: "x", 3)]),
            .init(3, [.readList(key: "x", [1, 2, 3])]))
        guard case .singleAntiDependency(let ids) = found.first else {
            Issue.record("found \(found)")
            return
        }
        #expect(Set(ids) == [1, 2])
    }

    @Test
    func lostUpdatesOfRegistersAreFound() {
        let found = self.violations(
            .init(0, [.write(key: "x", 0)], commitTimestamp: 1),
            .init(1, [.read(key: "x", 0), .write(key: "x", 1)], commitTimestamp: 2),
            .init(2, [.read(key: "x", 0), .write(key: "x", 2)], commitTimestamp: 3))
        guard case .singleAntiDependency = found.first else {
            Issue.record("found \(found)")
            return
        }
    }

    @Test
    func halfATransactionReadIsFound() {
        let found = self.violations(
            .init(1, [.append(key: "x", 1), .append(key: "y", 1)]),
            .init(2, [.readList(key: "x", [1]), .readList(key: "y", [])]),
            .init(3, [.readList(key: "y", [1])]))
        guard case .singleAntiDependency = found.first else {
            Issue.record("found \(found)")
            return
        }
    }

    @Test
    func longForksAreFound() {
        let found = self.violations(
            .init(1, [.append(key: "x", 1)]), .init(2, [.append(key: "y", 1)]),
            .init(3, [.readList(key: "x", [1]), .readList(key: "y", [])]),
            .init(4, [.readList(key: "x", []), .readList(key: "y", [1])]))
        guard case .nonadjacentAntiDependencies = found.first else {
            Issue.record("found \(found)")
            return
        }
    }

    @Test
    func circlesOfWritesAreFound() {
        let found = self.violations(
            .init(1, [.append(key: "x", 1), .append(key: "y", 1)]),
            .init(2, [.append(key: "x", 2), .append(key: "y", 2)]),
            .init(3, [.readList(key: "x", [1, 2])]), .init(4, [.readList(key: "y", [2, 1])]))
        guard case .writeCycle = found.first else {
            Issue.record("found \(found)")
            return
        }
    }

    @Test
    func circlesOfInformationAreFound() {
        let found = self.violations(
            .init(1, [.append(key: "x", 1), .readList(key: "y", [1])]),
            .init(2, [.append(key: "y", 1), .readList(key: "x", [1])]))
        guard case .informationCycle = found.first else {
            Issue.record("found \(found)")
            return
        }
    }

    @Test
    func staleReadsAreFoundWhereTimesAreKnown() {
        let writer = History.Transaction(1, [.append(key: "x", 1)], span: 0...1)
        let proof = History.Transaction(3, [.readList(key: "x", [1])], span: 0...9)
        let late = History.Transaction(2, [.readList(key: "x", [])], span: 2...3)
        let early = History.Transaction(2, [.readList(key: "x", [])], span: 1...3)
        #expect(!self.violations(writer, late, proof).isEmpty)
        #expect(self.violations(writer, early, proof) == [])
    }

    @Test
    func unknownOutcomesCountWhereTheyWereSeen() {
        #expect(
            self.violations(
                .init(1, [.append(key: "x", 1)], .unknown), .init(2, [.readList(key: "x", [1])])) == [])
        #expect(
            self.violations(
                .init(1, [.append(key: "x", 1), .append(key: "y", 1)], .unknown),
                .init(2, [.readList(key: "x", [])])) == [])
        // Half of it was seen by one that must see all.
        #expect(
            !self.violations(
                .init(1, [.append(key: "x", 1), .append(key: "y", 1)], .unknown),
                .init(2, [.readList(key: "x", [1]), .readList(key: "y", [])]),
                .init(3, [.readList(key: "y", [1])])
            ).isEmpty)
    }

    /// Histories of a store that takes snapshots and lets the first committer win are good; of one that does not check
    /// for conflicts they are not.
    @Test(arguments: [true, false])
    func randomHistoriesOfAModelStore(checksConflicts: Bool) {
        var found = 0
        for seed in 0..<20 {
            var dice = Dice(seed: UInt64(seed) + 1)
            var lists: [String: [Int]] = [:]
            var versions: [String: Int] = [:]
            var history = History()
            var clock = 0
            var running:
                [(snapshot: [String: [Int]], start: Int, appends: [String: [Int]], operations: [History.Operation])] =
                    []
            for number in 0..<300 {
                if running.count < 5 || Bool.random(using: &dice) { running.append((lists, clock, [:], [])) }
                clock += 1
                let index = Int.random(in: 0..<running.count, using: &dice)
                let key = "key \(Int.random(in: 0..<4, using: &dice))"
                switch Int.random(in: 0..<5, using: &dice) {
                case 0..<2:
                    let list = (running[index].snapshot[key] ?? []) + (running[index].appends[key] ?? [])
                    running[index].operations.append(.readList(key: key, list))
                case 2..<4:
                    running[index].appends[key, default: []].append(number)
                    running[index].operations.append(.append(key: key, number))
                default:
                    let transaction = running.remove(at: index)
                    let hasConflict = transaction.appends.keys.contains { versions[$0] ?? -1 > transaction.start }
                    let isCommitted = !(checksConflicts && hasConflict)
                    if isCommitted {
                        for (key, elements) in transaction.appends {
                            // Writing back what was read, as a client does with a list in a value.
                            lists[key] = (checksConflicts ? lists[key] : transaction.snapshot[key] ?? []) ?? []
                            lists[key]?.append(contentsOf: elements)
                            versions[key] = clock
                        }
                    }
                    history.transactions.append(
                        .init(
                            number, transaction.operations, isCommitted ? .committed : .aborted,
                            span: transaction.start...clock))
                }
            }
            if !SnapshotIsolationChecker.violations(of: history).isEmpty { found += 1 }
        }
        #expect(checksConflicts ? found == 0 : found > 10)
    }
}
