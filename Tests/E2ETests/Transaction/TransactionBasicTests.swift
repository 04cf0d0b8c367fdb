// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV

@Suite(.timeLimit(.minutes(3)))
struct TransactionBasicTests {
    @Test
    func oneKeyIsWrittenReadAndDeleted() async throws {
        try await TransactionSpace.with { space in
            let writer = try await space.client.begin()
            try await writer.put(space.key("a"), value: "1")
            try await writer.lock([space.key("a")])
            let committed = try #require(try await writer.commit())
            #expect(committed > writer.startTimestamp)

            let reader = try await space.client.begin()
            #expect(try await reader.get(space.key("a")) == "1")
            #expect(try await reader.commit() == nil)

            let deleter = try await space.client.begin()
            try await deleter.delete(space.key("a"))
            try await deleter.commit()
            let later = try await space.client.begin()
            #expect(try await later.get(space.key("a")) == nil)
            await later.rollback()
        }
    }

    @Test(arguments: [false, true])
    func manyKeysOverManyRegionsTakeEffectTogether(isPessimistic: Bool) async throws {
        try await TransactionSpace.with(splits: ["20", "40", "60", "80"]) { space in
            let options: TransactionOptions = isPessimistic ? .pessimistic : .optimistic
            let names = (0..<100).map { ($0 < 10 ? "0" : "") + "\($0)" }
            let writer = try await space.client.begin(options)
            for name in names { try await writer.put(space.key(name), value: Value(name)) }
            let before = space.client.snapshot(at: try await space.client.currentTimestamp())
            let committed = try #require(try await writer.commit())
            #expect(committed > before.timestamp)
            #expect(try await before.batchGet(names.map { space.key($0) }).isEmpty)

            let reader = try await space.client.begin()
            for name in names { #expect(try await reader.get(space.key(name)) == Value(name)) }
            let found = try await reader.batchGet(names.map { space.key($0) } + [space.key("none")])
            #expect(found == Dictionary(uniqueKeysWithValues: names.map { (space.key($0), Value($0)) }))
            #expect(try await space.text(reader.scan(space.range)) == names.map { "\($0)=\($0)" })

            let deleter = try await space.client.begin(options)
            for name in names { try await deleter.delete(space.key(name)) }
            try await deleter.commit()
            let after = try await space.client.begin()
            #expect(try await space.text(after.scan(space.range)).isEmpty)
        }
    }

    @Test
    func aTransactionSeesItsOwnWrites() async throws {
        try await TransactionSpace.with(splits: ["c"]) { space in
            try await space.write(["a": "1", "b": "2", "d": "4", "e": "5"])
            let transaction = try await space.client.begin()
            try await transaction.put(space.key("b"), value: "two")
            try await transaction.put(space.key("c"), value: "three")
            try await transaction.delete(space.key("d"))
            #expect(try await transaction.get(space.key("b")) == "two")
            #expect(try await transaction.get(space.key("d")) == nil)
            let found = try await transaction.batchGet(["a", "b", "c", "d"].map { space.key($0) })
            #expect(found == [space.key("a"): "1", space.key("b"): "two", space.key("c"): "three"])
            #expect(try await space.text(transaction.scan(space.range)) == ["a=1", "b=two", "c=three", "e=5"])
            #expect(
                try await space.text(transaction.scan(space.range, reversed: true))
                    == ["e=5", "c=three", "b=two", "a=1"])
            #expect(try await space.text(transaction.scan(space.range("b", "e"), limit: 1)) == ["b=two"])
            #expect(
                try await space.text(transaction.scan(space.range, keysOnly: true)) == ["a=", "b=", "c=", "e="])
            #expect(try await space.text(transaction.scan(space.range, limit: 0)).isEmpty)
            // Nobody else sees them.
            let other = try await space.client.begin()
            #expect(try await space.text(other.scan(space.range)) == ["a=1", "b=2", "d=4", "e=5"])
            await transaction.rollback()
            let later = try await space.client.begin()
            #expect(try await space.text(later.scan(space.range)) == ["a=1", "b=2", "d=4", "e=5"])
        }
    }

    @Test(arguments: [1, 10, 256])
    func scansCrossPagesAndRegions(pageSize: Int) async throws {
        var configuration = ClientConfiguration()
        configuration.transaction.scanPageSize = pageSize
        try await TransactionSpace.with(splits: ["g", "p"], configuration: configuration) { space in
            let names = "abcdefghijklmnopqrstuvwxyz".map { String($0) }
            try await space.write(Dictionary(uniqueKeysWithValues: names.map { ($0, Value($0)) }))
            let snapshot = space.client.snapshot(at: try await space.client.currentTimestamp())
            let all = names.map { "\($0)=\($0)" }
            #expect(try await space.text(snapshot.scan(space.range)) == all)
            #expect(try await space.text(snapshot.scan(space.range, reversed: true)) == all.reversed())
            #expect(try await space.text(snapshot.scan(space.range("a", "i"))) == Array(all[..<8]))
            #expect(
                try await space.text(snapshot.scan(space.range("a", "i"), reversed: true)) == all[..<8].reversed())
            #expect(try await space.text(snapshot.scan(space.range, limit: 12)) == Array(all[..<12]))
            #expect(try await space.text(snapshot.scan(space.range("z", "a").reversedBounds())) == all.dropLast())
        }
    }

    @Test
    func aSnapshotStaysAsItWas() async throws {
        try await TransactionSpace.with { space in
            let first = try await space.write(["a": "1", "b": "1"])
            let snapshot = space.client.snapshot(at: first)
            let uncached = space.client.snapshot(at: first, options: .init(isCached: false))
            #expect(try await snapshot.get(space.key("a")) == "1")
            #expect(try await snapshot.get(space.key("none")) == nil)
            try await space.write(["a": "2", "none": "2"])
            #expect(try await snapshot.get(space.key("a")) == "1")
            #expect(try await snapshot.get(space.key("none")) == nil)
            #expect(snapshot.cacheHits == 2)
            #expect(try await uncached.get(space.key("a")) == "1")
            #expect(try await uncached.get(space.key("none")) == nil)
            #expect(uncached.cacheCount == 0)
            #expect(
                try await snapshot.batchGet([space.key("a"), space.key("b")]) == [
                    space.key("a"): "1", space.key("b"): "1",
                ])
            #expect(snapshot.cacheCount == 3)
            // The latest state needs no timestamp and is never remembered.
            let latest = space.client.snapshot()
            #expect(try await latest.get(space.key("a")) == "2")
            try await space.write(["a": "3"])
            #expect(try await latest.get(space.key("a")) == "3")
            #expect(latest.cacheCount == 0)
        }
    }

    // MARK: - Conflicts

    @Test
    func theFirstCommitterWins() async throws {
        try await TransactionSpace.with(splits: ["b", "c"]) { space in
            try await space.write(["a": "a", "b": "b", "c": "c"])
            let first = try await space.client.begin()
            for name in ["a", "b", "c"] { try await first.put(space.key(name), value: "first") }
            let second = try await space.write(["c": "second"])
            let error = await #expect(throws: TiKVError.self) { try await first.commit() }
            #expect(error?.code == .writeConflict)
            #expect(error?.isRetryable == true)
            #expect(error?.transaction?.startTimestamp == first.startTimestamp.rawValue)
            #expect(error?.transaction?.conflict?.commitTimestamp == second.rawValue)
            #expect(error?.transaction?.conflict?.key == space.key("c"))
            // Nothing of it is there.
            let reader = try await space.client.begin()
            #expect(try await space.text(reader.scan(space.range)) == ["a=a", "b=b", "c=second"])
        }
    }

    @Test
    func conflictsAreRunAgain() async throws {
        try await TransactionSpace.with { space in
            try await space.write(["counter": "0"])
            var attempts = 0
            let result = try await space.client.withTransaction { transaction in
                attempts += 1
                let text = String(decoding: try await transaction.get(space.key("counter"))?.bytes ?? [], as: UTF8.self)
                if attempts == 1 { try await space.write(["counter": "5"]) }
                let next = (Int(text) ?? -1) + 1
                try await transaction.put(space.key("counter"), value: "\(next)")
                return next
            }
            #expect(attempts == 2)
            #expect(result == 6)
            #expect(try await space.client.snapshot().get(space.key("counter")) == "6")
        }
    }

    @Test
    func whatABodyThrowsRollsBack() async throws {
        struct Oops: Error {}
        try await TransactionSpace.with { space in
            await #expect(throws: Oops.self) {
                try await space.client.withTransaction { transaction in
                    try await transaction.put(space.key("a"), value: "1")
                    throw Oops()
                }
            }
            let value = try await space.client.snapshot().get(space.key("a"))
            #expect(value == nil)
        }
    }

    @Test(arguments: [false, true])
    func anInsertOfAKeyThatExistsFails(isPessimistic: Bool) async throws {
        try await TransactionSpace.with { space in
            try await space.write(["a": "1"])
            let transaction = try await space.client.begin(isPessimistic ? .pessimistic : .optimistic)
            let error = await #expect(throws: TiKVError.self) {
                try await transaction.insert(space.key("a"), value: "2")
                try await transaction.commit()
            }
            #expect(error?.code == .keyAlreadyExists)
            #expect(error?.transaction?.key == space.key("a"))
            #expect(error?.isRetryable == false)
            await transaction.rollback()

            let other = try await space.client.begin(isPessimistic ? .pessimistic : .optimistic)
            try await other.insert(space.key("b"), value: "2")
            let twice = await #expect(throws: TiKVError.self) { try await other.insert(space.key("b"), value: "3") }
            #expect(twice?.code == .keyAlreadyExists)
            try await other.delete(space.key("a"))
            try await other.insert(space.key("a"), value: "4")
            try await other.commit()
            let reader = try await space.client.begin()
            #expect(try await space.text(reader.scan(space.range)) == ["a=4", "b=2"])
        }
    }

    /// A key that was inserted and deleted again leaves no lock and so is no primary: one that meets another lock of the
    /// transaction would take it for dead.
    @Test
    func deletedInsertsCommit() async throws {
        try await TransactionSpace.with(splits: ["b", "c"]) { space in
            let transaction = try await space.client.begin()
            try await transaction.insert(space.key("a"), value: "1")
            try await transaction.put(space.key("b"), value: "2")
            try await transaction.put(space.key("c"), value: "3")
            try await transaction.delete(space.key("a"))
            try await transaction.commit()
            let reader = try await space.client.begin()
            #expect(try await space.text(reader.scan(space.range)) == ["b=2", "c=3"])

            let nothing = try await space.client.begin()
            for name in ["x", "y", "z"] {
                try await nothing.insert(space.key(name), value: "1")
                try await nothing.delete(space.key(name))
            }
            #expect(try await nothing.commit() == nil)
        }
    }

    @Test
    func assertionsAreChecked() async throws {
        try await TransactionSpace.with { space in
            let first = try await space.write(["a": "1"])
            let right = try await space.client.begin(.init(assertionLevel: .strict))
            try await right.put(space.key("a"), value: "2")
            try await right.assert(space.key("a"), exists: true)
            try await right.put(space.key("b"), value: "2")
            try await right.assert(space.key("b"), exists: false)
            let second = try #require(try await right.commit())
            #expect(second > first)

            let wrong = try await space.client.begin(.init(assertionLevel: .strict))
            try await wrong.put(space.key("a"), value: "3")
            try await wrong.assert(space.key("a"), exists: false)
            let error = await #expect(throws: TiKVError.self) { try await wrong.commit() }
            #expect(error?.code == .assertionFailed)
            #expect(error?.isRetryable == false)
            #expect(error?.transaction?.startTimestamp == wrong.startTimestamp.rawValue)
            let assertion = error?.transaction?.assertion
            #expect(assertion?.key == space.key("a"))
            #expect(assertion?.exists == false)
            #expect(assertion?.existingStartTimestamp == right.startTimestamp.rawValue)
            #expect(assertion?.existingCommitTimestamp == second.rawValue)

            let missing = try await space.client.begin(.init(assertionLevel: .strict))
            try await missing.put(space.key("c"), value: "3")
            try await missing.assert(space.key("c"), exists: true)
            let other = await #expect(throws: TiKVError.self) { try await missing.commit() }
            #expect(other?.transaction?.assertion?.existingCommitTimestamp == 0)
        }
    }

    // MARK: - Life

    @Test
    func anEndedTransactionDoesNothing() async throws {
        try await TransactionSpace.with { space in
            let committed = try await space.client.begin()
            try await committed.put(space.key("a"), value: "1")
            try await committed.commit()
            let rolledBack = try await space.client.begin()
            await rolledBack.rollback()
            await rolledBack.rollback()
            for transaction in [committed, rolledBack] {
                let put = await #expect(throws: TiKVError.self) {
                    try await transaction.put(space.key("a"), value: "2")
                }
                #expect(put?.code == .transactionFinished)
                let get = await #expect(throws: TiKVError.self) { try await transaction.get(space.key("a")) }
                #expect(get?.code == .transactionFinished)
                let commit = await #expect(throws: TiKVError.self) { try await transaction.commit() }
                #expect(commit?.code == .transactionFinished)
                let scan = await #expect(throws: TiKVError.self) {
                    _ = try await space.text(transaction.scan(space.range))
                }
                #expect(scan?.code == .transactionFinished)
            }
        }
    }

    @Test
    func whatIsTooLargeIsRefusedAtOnce() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await space.client.begin(.init(maximumEntrySize: 1 << 20, maximumSize: 3 << 20))
            let entry = await #expect(throws: TiKVError.self) {
                try await transaction.put(space.key("a"), value: Value([UInt8](repeating: 1, count: 9 << 20)))
            }
            #expect(entry?.code == .entryTooLarge)
            for name in ["a", "b", "c"] {
                try await transaction.put(space.key(name), value: Value([UInt8](repeating: 1, count: (1 << 20) - 100)))
            }
            let total = await #expect(throws: TiKVError.self) {
                try await transaction.put(space.key("d"), value: Value([UInt8](repeating: 1, count: 1_000)))
            }
            #expect(total?.code == .transactionTooLarge)
            let key = await #expect(throws: TiKVError.self) {
                try await transaction.put(Key([UInt8](repeating: 1, count: 65_536)), value: "")
            }
            #expect(key?.code == .keyTooLarge)
            #expect(await transaction.keyCount == 3)
            await transaction.rollback()
        }
    }

    @Test
    func argumentsThatCannotBeRightAreRefused() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await space.client.begin()
            let empty = await #expect(throws: TiKVError.self) { try await transaction.put("", value: "1") }
            #expect(empty?.code == .invalidArgument)
            let get = await #expect(throws: TiKVError.self) { try await space.client.snapshot().get("") }
            #expect(get?.code == .invalidArgument)
            let reversed = await #expect(throws: TiKVError.self) {
                _ = try await space.text(transaction.scan("b"..<"a"))
            }
            #expect(reversed?.code == .invalidArgument)
            let negative = await #expect(throws: TiKVError.self) {
                _ = try await space.text(transaction.scan(space.range, limit: -1))
            }
            #expect(negative?.code == .invalidArgument)
            for timestamp in [Timestamp.latest, Timestamp(rawValue: 0)] {
                let begin = await #expect(throws: TiKVError.self) {
                    _ = try await space.client.begin(.init(startTimestamp: timestamp))
                }
                #expect(begin?.code == .invalidArgument)
            }
        }
    }

    @Test
    func savepointsTakeWritesBack() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await space.client.begin()
            try await transaction.put(space.key("a"), value: "1")
            let savepoint = try await transaction.savepoint()
            try await transaction.put(space.key("a"), value: "2")
            try await transaction.put(space.key("b"), value: "2")
            try await transaction.rollback(to: savepoint)
            #expect(try await transaction.get(space.key("a")) == "1")
            #expect(try await transaction.get(space.key("b")) == nil)
            try await transaction.put(space.key("c"), value: "3")
            try await transaction.release(savepoint)
            let error = await #expect(throws: TiKVError.self) { try await transaction.rollback(to: savepoint) }
            #expect(error?.code == .invalidArgument)
            try await transaction.commit()
            let reader = try await space.client.begin()
            #expect(try await space.text(reader.scan(space.range)) == ["a=1", "c=3"])
        }
    }

    @Test
    func aCommitComesAfterTheTimestampItWasTold() async throws {
        try await TransactionSpace.with { space in
            let now = try await space.client.currentTimestamp()
            // 50 ms from now, which PD's clock reaches by itself.
            let soon = Timestamp(rawValue: now.rawValue + 50 << 18)
            let waiting = try await space.client.begin(.init(commitAfter: soon))
            try await waiting.put(space.key("a"), value: "1")
            #expect(try #require(try await waiting.commit()) > soon)

            let far = Timestamp(rawValue: now.rawValue + 100_000 << 18)
            let failing = try await space.client.begin(.init(commitAfter: far))
            try await failing.put(space.key("b"), value: "1")
            let error = await #expect(throws: TiKVError.self) { try await failing.commit() }
            #expect(error?.code == .commitTimestampLag)
            #expect(try await space.client.snapshot().get(space.key("b")) == nil)
        }
    }
}

extension KeyRange {
    /// The same bounds, the lesser one first.
    fileprivate func reversedBounds() -> KeyRange { KeyRange(start: self.end, end: self.start) }
}
