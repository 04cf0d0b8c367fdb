// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// What compare-and-swap promises when things go wrong or many do it at once.
@Suite(.timeLimit(.minutes(2))) struct RawAtomicTests {
    @Test func itMustBeSwitchedOn() async throws {
        try await TestCluster.withSpace { space in
            let key = space.key("k")
            let swap = await failure { try await space.client.compareAndSwap(key, expected: nil, value: "v") }
            #expect(swap?.code == .invalidArgument)
            #expect(swap?.message.contains("isAtomic") == true)
            #expect(await failure { try await space.client.putIfAbsent(key, value: "v") }?.code == .invalidArgument)
            let delete = await failure { try await space.client.compareAndDelete(key, expected: "v") }
            #expect(delete?.code == .invalidArgument)
            let stored = try await space.client.get(key)
            #expect(stored == nil)
        }
    }

    @Test(arguments: TestCluster.versions) func nothingIsLostAmongMany(version: APIVersion) async throws {
        try await TestCluster.withSpace(configuration: .raw(version, isAtomic: true)) { space in
            let (client, key) = (space.client, space.key("counter"))
            try await client.put(key, value: "0")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<20 {
                            var expected = try await client.get(key)
                            while true {
                                let number = Int(String(decoding: expected?.bytes ?? [], as: UTF8.self)) ?? 0
                                let swap = try await client.compareAndSwap(
                                    key, expected: expected, value: "\(number + 1)")
                                if swap.isSwapped { break }
                                expected = swap.previous
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await client.get(key) == "160")
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "injects faults"))
    func aSwapWhoseAnswerIsLostIsNotSentAgain() async throws {
        try await TestCluster.withControl(configuration: .raw(.v1, isAtomic: true)) { client, cluster in
            try await client.put("k", value: "0")
            for fault in [EmbeddedCluster.Fault.dropAnswer, .cutConnection] {
                let before = cluster.requestCount("RawCompareAndSwap")
                cluster.inject(fault, into: .init(rpc: "RawCompareAndSwap"))
                let error = await failure {
                    try await client.compareAndSwap("k", expected: "0", value: "0", timeout: .seconds(2))
                }
                #expect(error?.code == .undetermined)
                #expect(error?.isOutcomeUnknown == true)
                #expect(cluster.requestCount("RawCompareAndSwap") == before + 1)
            }
            // Refusals say that nothing was done.
            cluster.inject(
                .regionError(.serverIsBusy(backoffMilliseconds: 1)), into: .init(rpc: "RawCompareAndSwap"), times: 3)
            #expect(try await client.compareAndSwap("k", expected: "0", value: "1").isSwapped)
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "looks at the requests' effects"))
    func batchesOfARegionAreWrittenAtOnce() async throws {
        try await TestCluster.withControl(configuration: .raw(.v1, isAtomic: true)) { client, _ in
            try await client.batchPut([("a", "1"), ("b", "2")])
            try await client.batchDelete(["a"])
            try await client.delete("b")
            #expect(try await client.batchGet(["a", "b"]).isEmpty)
        }
    }
}
