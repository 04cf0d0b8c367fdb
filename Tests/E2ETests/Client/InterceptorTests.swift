// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKV

/// Interceptors around the RPCs of a real client, both those of a batch stream and those by themselves.
@Suite(.timeLimit(.minutes(2)))
struct InterceptorTests {
    private final class Counter: RPCInterceptor {
        let name = "counter"
        private let methods = Mutex<[String]>([])

        var seen: [String] { self.methods.withLock { $0 } }

        func intercept<Response: Sendable>(
            _ rpc: InterceptedRPC, next: RPCInterceptorNext<Response>
        ) async throws -> Response {
            let response = try await next(rpc)
            self.methods.withLock { $0.append(rpc.method) }
            return response
        }
    }

    @Test(arguments: [0, 128])
    func everyRPCToAStoreIsSeenOnce(maximumBatchSize: Int) async throws {
        let counter = Counter()
        var configuration = ClientConfiguration()
        configuration.connection.maximumBatchSize = maximumBatchSize
        configuration.interceptors = [counter]
        try await TestCluster.withSpace(configuration: configuration) { space in
            try await space.client.put(space.key("k"), value: "v")
            let value = try await space.client.get(space.key("k"))
            #expect(value == "v")
        }
        // A real cluster's space is cleared in the end.
        #expect(counter.seen.filter { $0 != "RawDeleteRange" } == ["RawPut", "RawGet"])
    }

    @Test func aTransactionsRPCsAreSeenOnce() async throws {
        let (writing, reading) = (Counter(), Counter())
        try await TransactionSpace.with { space in
            let transaction = try await space.client.begin()
            try await withRPCInterceptor(writing) {
                try await transaction.put(space.key("k"), value: "v")
                try await transaction.commit()
            }
            let second = try await space.client.begin()
            try await withRPCInterceptor(reading) {
                let value = try await second.get(space.key("k"))
                #expect(value == "v")
            }
            await second.rollback()
        }
        // One key has no secondaries to commit after the answer.
        #expect(writing.seen == ["KvPrewrite", "KvCommit"])
        #expect(reading.seen == ["KvGet"])
    }

    @Test func aScopeCoversTheCallsInItAlone() async throws {
        let counter = Counter()
        try await TestCluster.withSpace { space in
            try await space.client.put(space.key("k"), value: "v")
            try await withRPCInterceptor(counter) {
                async let first = space.client.get(space.key("k"))
                async let second = space.client.get(space.key("k"))
                let values = try await [first, second]
                #expect(values == ["v", "v"])
            }
            _ = try await space.client.get(space.key("k"))
        }
        #expect(counter.seen == ["RawGet", "RawGet"])
    }
}
