// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKV

@Suite struct RawBatchTests {
    @Test func keysAreSortedAndDistinct() {
        #expect(RawBatch.sorted(["b", "a", "b", "c"] as [Key]) == [[0x61], [0x62], [0x63]])
        #expect(RawBatch.sorted([] as [Key]).isEmpty)
    }

    @Test func ofSeveralPairsForAKeyTheLastCounts() {
        let pairs: [RawBatch.Entry] = [
            .init(key: [0x62], value: [0x31], seconds: 9), .init(key: [0x61], value: [0x32]),
            .init(key: [0x62], value: [0x33]),
        ]
        #expect(
            RawBatch.sorted(pairs) == [.init(key: [0x61], value: [0x32]), .init(key: [0x62], value: [0x33])])
    }

    @Test func chunksHaveAtMostSoManyItems() {
        #expect(RawBatch.chunks([1, 2, 3, 4, 5][...], count: 2) == [[1, 2], [3, 4], [5]])
        #expect(RawBatch.chunks([1, 2][...], count: 2) == [[1, 2]])
        #expect(RawBatch.chunks([1, 2][...], count: 0) == [[1], [2]])
        #expect(RawBatch.chunks([Int]()[...], count: 2).isEmpty)
    }

    @Test func chunksHaveAtMostSoManyBytes() {
        func pair(_ size: Int) -> RawBatch.Entry { .init(key: [1], value: [UInt8](repeating: 0, count: size - 1)) }
        func sizes(_ pairs: [Int], _ limit: Int) -> [[Int]] {
            RawBatch.chunks(pairs.map { pair($0) }[...], bytes: limit).map { $0.map { $0.key.count + $0.value.count } }
        }
        #expect(sizes([4, 4, 4], 8) == [[4, 4], [4]])
        #expect(sizes([4, 5, 4], 8) == [[4], [5], [4]])
        // A pair over the limit goes alone.
        #expect(sizes([4, 20, 4], 8) == [[4], [20], [4]])
        #expect(sizes([20], 8) == [[20]])
    }
}
