// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

import Testing
import TiKVEmbedded
import TiKVFailpoints

@testable import TiKV

/// What is found out about assertions when stores are told nothing of them.
@Suite(.timeLimit(.minutes(3)))
struct AssertionHookTests: HookSuite {
    enum Mode: CaseIterable, Sendable {
        case optimistic
        /// Another key is locked, those that are written are not.
        case unlocked
        case locked
    }

    private func commit(
        _ client: TransactionClient, _ mode: Mode, _ assertions: [(Key, Bool)]
    ) async throws -> TiKVError? {
        let transaction = try await client.begin(
            .init(kind: mode == .optimistic ? .optimistic : .pessimistic, assertionLevel: .fast))
        if mode == .unlocked { try await transaction.lock(["other"]) }
        for (key, exists) in assertions {
            if mode == .unlocked {
                try await transaction.putWithoutLock(key, value: "1")
            } else {
                if mode == .locked { _ = try await transaction.lock([key], options: .init(checksExistence: true)) }
                try await transaction.put(key, value: "1")
            }
            try await transaction.assert(key, exists: exists)
        }
        return await self.failure { try await transaction.commit() }
    }

    /// Only keys that were locked before: the client itself has seen whether they exist.
    @Test(arguments: Mode.allCases)
    func onlyLocksTell(mode: Mode) async throws {
        try await self.with([.assertionSkipCheckFromPrewrite: "return"]) { client, _, _ in
            let preparing = try await client.begin()
            for key in ["k1", "k3", "k7"] as [Key] { try await preparing.put(key, value: "1") }
            try await preparing.commit()
            let right = try await self.commit(client, mode, [("k1", true), ("k2", false)])
            #expect(right == nil)
            for (wrong, exists, others) in [
                ("k3", false, []), ("k4", true, []), ("k7", false, [("k5", false), ("k6", false)]),
                ("k10", true, [("k8", false), ("k9", false)]),
            ] as [(Key, Bool, [(Key, Bool)])] {
                let error = try await self.commit(client, mode, others + [(wrong, exists)])
                guard mode == .locked else {
                    #expect(error == nil)
                    continue
                }
                #expect(error?.code == .assertionFailed)
                let assertion = error?.transaction?.assertion
                #expect(assertion?.key == wrong)
                #expect(assertion?.exists == exists)
                #expect(assertion?.existingStartTimestamp == 0)
                #expect(assertion?.existingCommitTimestamp == 0)
            }
        }
    }
}

#endif
