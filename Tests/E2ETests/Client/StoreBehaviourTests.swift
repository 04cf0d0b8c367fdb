// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKV
import TiKVEmbedded

/// What requests of transactions carry, and how they fare at a store that is busy.
@Suite(.timeLimit(.minutes(3))) struct StoreBehaviourTests {
    private final class Log: RPCInterceptor {
        let name = "log"
        private let rpcs = Mutex<[(method: String, priority: RequestPriority)]>([])
        private let ends = Mutex(0)

        /// The priorities of RPCs by their names.
        var priorities: [String: Set<RequestPriority>] {
            self.rpcs.withLock { rpcs in
                rpcs.reduce(into: [:]) { $0[$1.method, default: []].insert($1.priority) }
            }
        }

        var begun: [String] { self.rpcs.withLock { $0.map(\.method) } }
        var ended: Int { self.ends.withLock { $0 } }

        func intercept<Response: Sendable>(
            _ rpc: InterceptedRPC, next: RPCInterceptorNext<Response>
        ) async throws -> Response {
            self.rpcs.withLock { $0.append((rpc.method, rpc.priority)) }
            defer { self.ends.withLock { $0 += 1 } }
            return try await next(rpc)
        }
    }

    @Test(arguments: [RequestPriority.high, .low, .normal])
    func thePriorityOfATransactionIsInEachOfItsRequests(priority: RequestPriority) async throws {
        try await TransactionSpace.with { space in
            var options = TransactionOptions.optimistic
            options.priority = priority == .high ? .high : priority == .low ? .low : .normal
            let log = Log()
            try await withRPCInterceptor(log) {
                let writer = try await space.client.begin(options)
                try await writer.put(space.key("a"), value: "1")
                try await writer.commit()
                let reader = try await space.client.begin(options)
                let value = try await reader.get(space.key("a"))
                #expect(value == "1")
                let text = try await space.text(reader.scan(space.range))
                #expect(text == ["a=1"])
            }
            #expect(
                log.priorities == [
                    "KvPrewrite": [priority], "KvCommit": [priority], "KvGet": [priority], "KvScan": [priority],
                ])
        }
    }

    @Test func aCommitOfOneKeyIsTwoRPCsAndAReadIsOne() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await space.client.begin()
            try await transaction.put(space.key("a"), value: "1")
            let writing = Log()
            try await withRPCInterceptor(writing) { _ = try await transaction.commit() }
            #expect(writing.begun == ["KvPrewrite", "KvCommit"])
            #expect(writing.ended == 2)
            let reader = try await space.client.begin()
            let reading = Log()
            let value = try await withRPCInterceptor(reading) { try await reader.get(space.key("a")) }
            #expect(value == "1")
            #expect(reading.begun == ["KvGet"])
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "injects faults"))
    func aBusyStoreIsAskedAgain() async throws {
        try await TransactionSpace.withControl { space, cluster in
            try await space.write(["a": "1"])
            cluster.inject(.regionError(.serverIsBusy(backoffMilliseconds: 1)), into: .init(rpc: "KvGet"))
            let reader = try await space.client.begin()
            let recorder = RequestRecorder()
            let value = try await withRequestStatistics(recorder) { try await reader.get(space.key("a")) }
            #expect(value == "1")
            #expect(recorder.statistics.errors == ["ServerIsBusy": 1])
            #expect(recorder.statistics.commands["KvGet"]?.count == 2)
        }
    }
}
