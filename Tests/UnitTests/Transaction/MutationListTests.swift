// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVWriteBuffer

@testable import TiKV

@Suite
struct MutationListTests {
    /// The same keys, once in a buffer that is sealed and once copied from one.
    private func plans(_ seed: UInt64, isPessimistic: Bool) throws -> (sealed: CommitPlan, copied: CommitPlan) {
        var random = Dice(seed: seed)
        var first = WriteBuffer()
        var second = WriteBuffer()
        var constraints: [[UInt8]: UInt64] = [:]
        let flags: [KeyFlagChange] = [
            .none, .set(.locked), .set(.presumeNotExists), .set(.needLocked), .set(.prewriteOnly),
            .assert(exists: true),
            .assert(exists: false), .set([.locked, .lockedValueExists]), .set(.newlyInserted),
        ]
        for _ in 0..<200 {
            let key = bytes("key\(Int.random(in: 0..<60, using: &random))")
            let value = [UInt8](repeating: 7, count: Int.random(in: 0..<40, using: &random))
            let change = flags.randomElement(using: &random) ?? .none
            if Bool.random(using: &random) { constraints[key] = UInt64.random(in: 1...99, using: &random) }
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                try first.delete(key, flags: change)
                try second.delete(key, flags: change)
            case 1:
                try first.updateFlags(key, change)
                try second.updateFlags(key, change)
            default:
                try first.put(key, value: value, flags: change)
                try second.put(key, value: value, flags: change)
            }
        }
        let isUnnecessary: ([UInt8], [UInt8]) -> Bool = { key, value in key.last == value.first.map { $0 + 48 } }
        let copied = try CommitPlan(
            second, isPessimistic: isPessimistic, constraints: constraints, isUnnecessary: isUnnecessary)
        let writes = MutationList.Writes(
            first, isPessimistic: isPessimistic, constraints: constraints, isUnnecessary: isUnnecessary)
        return (CommitPlan(writes), copied)
    }

    @Test(arguments: [false, true])
    func whatIsSealedIsWhatWasWritten(isPessimistic: Bool) throws {
        for seed in 0..<50 {
            let (sealed, copied) = try self.plans(UInt64(seed), isPessimistic: isPessimistic)
            #expect(Array(sealed.mutations) == Array(copied.mutations))
            #expect(sealed.primary == copied.primary)
            #expect(sealed.size == copied.size)
            #expect(sealed.refuted == copied.refuted)
            let list = sealed.mutations
            for place in list.indices {
                let mutation = list[place]
                #expect(list.key(at: place) == mutation.key)
                #expect(list.keySize(at: place) == mutation.key.count)
                #expect(list.size(at: place) == mutation.size)
                #expect(list.place(of: mutation.key) == place)
                #expect(list.place(notBefore: mutation.key + [0]) == place + 1)
            }
            #expect(list.place(of: bytes("nothing")) == nil)
        }
    }

    @Test
    func whatIsLeftWithoutSomePlaces() {
        let list = MutationList((0..<10).map { Mutation(.put, [UInt8($0)]) })
        func rest(_ ranges: Range<Int>...) -> [[UInt8]] { list.without(ranges).map { $0.map { $0.key[0] } } }
        #expect(rest() == [Array(0..<10)])
        #expect(rest(0..<10) == [])
        #expect(rest(3..<5, 7..<8) == [[0, 1, 2], [5, 6], [8, 9]])
        #expect(rest(7..<8, 2..<5, 4..<6, 0..<0) == [[0, 1], [6], [8, 9]])
        #expect(rest(0..<3, 1..<2) == [[3, 4, 5, 6, 7, 8, 9]])
        #expect(list[4..<8].without([5..<6]).map { Array($0.indices) } == [[4], [6, 7]])
    }

    /// Each key is committed once: with the primary, or after it.
    @Test
    func thePrimaryTakesItsRegionsKeysAlong() {
        var mutations = (0..<20).map { Mutation(.put, [UInt8($0)]) }
        mutations[6] = Mutation(.checkNotExists, [6])
        let plan = CommitPlan(mutations, primary: [12])
        for (start, end, limit) in [(5, 15, 100), (5, 15, 4), (0, 0, 100), (12, 13, 100), (5, 15, 1)] {
            let batch = plan.primaryBatch(start: [UInt8(start)], end: end == 0 ? [] : [UInt8(end)], bytes: limit)
            #expect(batch.keys.first == [12])
            #expect(batch.keys.count <= limit)
            #expect(batch.keys.allSatisfy { $0[0] >= start && (end == 0 || $0[0] < end) })
            let rest = plan.mutations.without(batch.places).flatMap(\.lockedKeys)
            #expect((batch.keys + rest).map { $0[0] }.sorted() == (0..<20).filter { $0 != 6 }.map { UInt8($0) })
        }
        #expect(plan.primaryBatch(start: [5], end: [15]).keys.count == 9)
        #expect(plan.primaryBatch(start: [5], end: [15], bytes: 4).keys.count == 4)
    }
}
