// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import Testing
import TiKVPD

@testable import TiKV

/// Requests that wait for their resource group's tokens.
@Suite(.timeLimit(.minutes(1))) struct ResourceControllerTests {
    /// PD, as far as resource groups go.
    private final class Source: TokenSource {
        struct State {
            var groups: [String: ResourceGroup] = [:]
            var loads = 0
            var requests: [TokenRequest] = []
            var grant: @Sendable (TokenRequest) -> TokenGrant? = { _ in nil }
            var isDown = false
        }

        let state = Mutex(State())

        func group(_ name: String, deadline: Deadline) async throws(PDError) -> ResourceGroup? {
            self.state.withLock { state in
                state.loads += 1
                return state.groups[name]
            }
        }

        func acquire(
            clientID: UInt64, deadline: Deadline, next: () async -> [TokenRequest]?, granted: ([TokenGrant]) -> Void
        ) async throws {
            while let requests = await next() {
                let grants = try self.state.withLock { state in
                    state.requests += requests
                    if state.isDown { throw PDError(.unreachable, "gone") }
                    return requests.compactMap { state.grant($0) }
                }
                granted(grants)
            }
        }
    }

    private let clock = VirtualClock(jumps: false)
    private let source = Source()

    private func controller(rate: UInt64, burst: Int64 = 0, priority: UInt32 = 0) -> ResourceController {
        self.source.state.withLock {
            $0.groups["g"] = ResourceGroup(
                name: "g", priority: priority,
                requestUnits: ResourceGroup.Bucket(fillRate: rate, burstLimit: burst))
        }
        return ResourceController(
            source: self.source, clientID: 1, clock: self.clock, logger: Logger(label: "test"))
    }

    private func deadline(_ timeout: Duration = .seconds(60)) -> Deadline {
        Deadline(after: timeout, from: self.clock.now)
    }

    private func write(_ bytes: UInt64) -> RequestCost {
        var cost = RequestCost(isWrite: true)
        cost.writeBytes = bytes
        cost.storeID = 1
        return cost
    }

    @Test func aGroupIsAskedForOnceAndCharged() async throws {
        let controller = self.controller(rate: 1000, priority: 9)
        let charge = try await controller.begin(self.write(1024), of: "g", deadline: self.deadline())
        #expect(abs(charge.taken.writeUnits - 2.7) < 1e-9 && charge.wait == .zero && charge.priority == 9)
        controller.end(charge, ResponseCost(readBytes: 65_536))
        _ = try await controller.begin(RequestCost(isWrite: false), of: "g", deadline: self.deadline())
        let used = try #require(controller.used(by: "g"))
        #expect(abs(used.writeUnits - 2.7) < 1e-9 && abs(used.readUnits - 1.475) < 1e-9)
        #expect(self.source.state.withLock { $0.loads } == 1)
    }

    @Test func aGroupThatIsNoneIsSaidSo() async {
        let controller = self.controller(rate: 1)
        let error = await #expect(throws: TiKVError.self) {
            try await controller.begin(self.write(1), of: "other", deadline: self.deadline())
        }
        #expect(error?.code == .resourceGroupUnavailable)
    }

    @Test func withoutTokensARequestFailsAfterAWhile() async throws {
        let controller = self.controller(rate: 2)
        _ = try await controller.begin(self.write(0), of: "g", deadline: self.deadline())
        let clock = self.clock
        let deadline = self.deadline()
        let cost = self.write(0)
        let failure = await withTaskGroup(of: TiKVError?.self) { group in
            group.addTask {
                do throws(TiKVError) {
                    _ = try await controller.begin(cost, of: "g", deadline: deadline)
                    return nil
                } catch {
                    return error
                }
            }
            for _ in 1..<ResourceController.attempts {
                await clock.waitForSleepers(1)
                clock.advance(by: ResourceController.retryInterval)
            }
            return await group.next() ?? nil
        }
        #expect(failure?.code == .resourceGroupThrottled)
        #expect(failure?.isRetryable == true)
        #expect(clock.elapsed == ResourceController.retryInterval * (ResourceController.attempts - 1))
    }

    @Test func tokensThatPDGivesOverTimeAreWaitedFor() async throws {
        let controller = self.controller(rate: 2)
        self.source.state.withLock { state in
            state.grant = { request in
                TokenGrant(
                    group: request.group, tokens: ResourceGroup.Bucket(fillRate: 2, tokens: 17),
                    trickleTime: .seconds(10))
            }
        }
        let (clock, source, deadline, cost) = (self.clock, self.source, self.deadline(), self.write(0))
        let charge = try await withThrowingTaskGroup(of: ResourceController.Charge?.self) {
            group -> ResourceController.Charge? in
            group.addTask {
                await controller.run()
                return nil
            }
            // Takes what there is to begin with; PD has answered by then, or does after.
            _ = try await controller.begin(cost, of: "g", deadline: deadline)
            while source.state.withLock({ $0.requests.isEmpty }) { await Task.yield() }
            group.addTask { try await controller.begin(cost, of: "g", deadline: deadline) }
            group.addTask {
                while !Task.isCancelled {
                    clock.advance(by: .milliseconds(50))
                    for _ in 0..<100 { await Task.yield() }
                }
                return nil
            }
            defer { group.cancelAll() }
            while let next = try await group.next() {
                if let next { return next }
            }
            return nil
        }
        // 0.3 were left, and 1.7 are needed: at 1.7 tokens a second about 0.8 s.
        let taken = try #require(charge)
        #expect(taken.wait > .zero)
    }

    @Test func whatWasUsedIsReportedToPD() async throws {
        let controller = self.controller(rate: 10_000, burst: -1)
        self.source.state.withLock { state in
            state.grant = { request in
                TokenGrant(
                    group: request.group, tokens: ResourceGroup.Bucket(fillRate: 10_000, burstLimit: -1),
                    trickleTime: .zero)
            }
        }
        let (clock, source) = (self.clock, self.source)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await controller.run() }
            defer { group.cancelAll() }
            for _ in 0..<100 {
                _ = try await controller.begin(self.write(1024), of: "g", deadline: self.deadline())
            }
            func reported() -> Double {
                source.state.withLock { $0.requests.reduce(0) { $0 + $1.consumption.writeUnits } }
            }
            while reported() < 269.9 {
                clock.advance(by: .milliseconds(100))
                for _ in 0..<50 { await Task.yield() }
            }
            #expect(abs(reported() - 270) < 1e-6)
        }
    }

    @Test func aGroupThatNobodyUsesIsForgotten() async throws {
        let controller = self.controller(rate: 100)
        let clock = self.clock
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await controller.run() }
            defer { group.cancelAll() }
            _ = try? await controller.begin(self.write(0), of: "g", deadline: self.deadline())
            while controller.used(by: "g") != nil {
                await clock.waitForSleepers(1)
                clock.advance(by: .seconds(10))
            }
        }
        #expect(clock.elapsed >= GroupTokens.idleTime)
        #expect(self.source.state.withLock { $0.requests.count } > 1)
    }
}
