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

@Suite struct SnapshotReadTests {
    private var mvcc = MVCCHarness()

    private func scan(
        _ read: SnapshotRead, _ start: String = "", _ end: String = "", limit: Int = 100, isReversed: Bool = false,
        isKeyOnly: Bool = false, sampleStep: Int = 0
    ) throws -> [String] {
        let range = EncodedRange(rawStart: MVCCHarness.bytes(start), rawEnd: MVCCHarness.bytes(end))
        return try read.scan(
            range, limit: limit, isReversed: isReversed, isKeyOnly: isKeyOnly, sampleStep: sampleStep
        ).map { result in
            switch result {
            case .success(let entry):
                let key = String(decoding: entry.key, as: UTF8.self)
                return entry.value.isEmpty ? key : key + "=" + String(decoding: entry.value, as: UTF8.self)
            case .failure: return "locked"
            }
        }
    }

    // MARK: - Locks

    @Test mutating func locksThatDoNotMatterArePassed() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        try self.mvcc.prewrite("k", "w", primary: "p", at: 10, minCommitTS: 20)
        // Newer than the read.
        #expect(try self.mvcc.get("k", at: 9) == "v")
        // Will not be committed that early.
        #expect(try self.mvcc.get("k", at: 19) == "v")
        #expect(caseName { try self.mvcc.get("k", at: 20) } == "keyIsLocked")
        var read = self.mvcc.read(at: 30)
        read.bypassedLocks = [10]
        #expect(try read.get(MVCCHarness.key("k"))?.value == Data("v".utf8))
    }

    @Test mutating func theNewestVersionIsBeforeThePrimarysLock() throws {
        try self.mvcc.put("p", "v", start: 1, commit: 2)
        try self.mvcc.put("s", "v", start: 1, commit: 2)
        try self.mvcc.prewrite("p", "w", at: 10)
        try self.mvcc.prewrite("s", "w", primary: "p", at: 10)
        #expect(try self.mvcc.get("p", at: .max) == "v")
        #expect(caseName { try self.mvcc.get("s", at: .max) } == "keyIsLocked")
        var read = self.mvcc.read(at: .max)
        read.isReplicaRead = true
        #expect(caseName { try read.get(MVCCHarness.key("p")) } == "keyIsLocked")
        // An async commit may be over already.
        try self.mvcc.prewrite("a", "w", at: 10, change: { $0.secondaries = [] })
        #expect(caseName { try self.mvcc.get("a", at: .max) } == "keyIsLocked")
    }

    @Test mutating func committedLocksCanBeReadThrough() throws {
        try self.mvcc.put("d", "v", start: 1, commit: 2)
        let long = String(repeating: "x", count: 300)
        try self.mvcc.prewrite("k", long, at: 10)
        try self.mvcc.prewrite("d", nil, primary: "k", at: 10)
        var read = self.mvcc.read(at: 20)
        read.accessedLocks = [10]
        let entry = try read.get(MVCCHarness.key("k"))
        #expect(entry?.value == Data(long.utf8))
        #expect(entry?.commitTS == 0)
        #expect(try read.get(MVCCHarness.key("d")) == nil)
        // The lock does not say when it was committed.
        #expect(caseName { try read.get(MVCCHarness.key("k"), needsCommitTS: true) } == "keyIsLocked")
        #expect(try self.scan(read) == ["k=" + long])
    }

    @Test mutating func readCommittedDoesNotLookAtLocks() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        try self.mvcc.prewrite("k", "w", at: 10)
        try self.mvcc.prewrite("n", "w", at: 10)
        var read = self.mvcc.read(at: 20)
        read.isolation = .readCommitted
        #expect(try read.get(MVCCHarness.key("k"))?.value == Data("v".utf8))
        #expect(try self.scan(read) == ["k=v"])
    }

    @Test mutating func readCommittedCheckingTimestampsWantsNothingNewer() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        try self.mvcc.put("k", "w", start: 10, commit: 20)
        var read = self.mvcc.read(at: 15)
        read.isolation = .readCommittedCheckingTS
        guard
            case .writeConflict(15, 0, 20, let key, [], .rcCheckTS)? = self.mvcc.error({
                try read.get(MVCCHarness.key("k"))
            })
        else {
            Issue.record("no conflict")
            return
        }
        // TiKV names the version as it is stored.
        #expect(key == VersionKey.encode(MVCCHarness.key("k").encoded, 20))
        #expect(conflictReason { try self.scan(read) } == .rcCheckTS)
        read.timestamp = 20
        #expect(try read.get(MVCCHarness.key("k"))?.value == Data("w".utf8))
        // A lock is a conflict even where it is newer than the read.
        try self.mvcc.prewrite("k", "x", at: 30)
        read = self.mvcc.read(at: 25)
        read.isolation = .readCommittedCheckingTS
        #expect(conflictReason { try read.get(MVCCHarness.key("k")) } == .rcCheckTS)
        read.bypassedLocks = [30]
        #expect(try read.get(MVCCHarness.key("k"))?.value == Data("w".utf8))
    }

    // MARK: - Ranges

    /// a, b, d and e have values at 10; b is deleted at 20, c is written then, d is locked at 30.
    private mutating func fill() throws {
        for key in ["a", "b", "d", "e"] { try self.mvcc.put(key, key, start: 9, commit: 10) }
        try self.mvcc.put("b", nil, start: 19, commit: 20)
        try self.mvcc.put("c", "c", start: 19, commit: 20)
        try self.mvcc.prewrite("d", "x", at: 30)
        try self.mvcc.prewrite("f", "x", primary: "d", at: 30)
    }

    @Test mutating func scansSeeTheirTimestamp() throws {
        try self.fill()
        #expect(try self.scan(self.mvcc.read(at: 9)) == [])
        #expect(try self.scan(self.mvcc.read(at: 10)) == ["a=a", "b=b", "d=d", "e=e"])
        #expect(try self.scan(self.mvcc.read(at: 29)) == ["a=a", "c=c", "d=d", "e=e"])
        #expect(try self.scan(self.mvcc.read(at: 29), isReversed: true) == ["e=e", "d=d", "c=c", "a=a"])
    }

    @Test mutating func scansNameLocksAndGoOn() throws {
        try self.fill()
        #expect(try self.scan(self.mvcc.read(at: 30)) == ["a=a", "c=c", "locked", "e=e", "locked"])
        #expect(
            try self.scan(self.mvcc.read(at: 30), isReversed: true) == ["locked", "e=e", "locked", "c=c", "a=a"])
        // Locks count as entries.
        #expect(try self.scan(self.mvcc.read(at: 30), limit: 3) == ["a=a", "c=c", "locked"])
        #expect(try self.scan(self.mvcc.read(at: 30), limit: 0) == [])
    }

    @Test mutating func scansKeepToTheirRange() throws {
        try self.fill()
        let read = self.mvcc.read(at: 29)
        #expect(try self.scan(read, "c", "e") == ["c=c", "d=d"])
        #expect(try self.scan(read, "c", "e", isReversed: true) == ["d=d", "c=c"])
        #expect(try self.scan(read, "bb", "", limit: 2) == ["c=c", "d=d"])
        #expect(try self.scan(read, "e", "c") == [])
        #expect(try self.scan(read, isKeyOnly: true) == ["a", "c", "d", "e"])
    }

    @Test mutating func samplingTakesEverySoManieth() throws {
        try self.fill()
        let read = self.mvcc.read(at: 29)
        #expect(try self.scan(read, sampleStep: 2) == ["a=a", "d=d"])
        #expect(try self.scan(read, sampleStep: 3) == ["a=a", "e=e"])
        #expect(try self.scan(read, isReversed: true, sampleStep: 3) == ["e=e", "a=a"])
    }

    @Test mutating func emptyValuesAndKeysAreThere() throws {
        try self.mvcc.put("", "", start: 1, commit: 2)
        #expect(try self.mvcc.get("", at: 2) == "")
        #expect(try self.scan(self.mvcc.read(at: 2)) == [""])
    }
}
