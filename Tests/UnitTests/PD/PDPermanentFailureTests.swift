// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import Testing
import TiKVProto
import TiKVTransport

@testable import TiKVPD

/// Members that no further connect can reach: those whose certificates do not fit.
@Suite(.timeLimit(.minutes(1))) struct PDPermanentFailureTests {
    private let clock = VirtualClock(jumps: true)

    private static let untrusted = RPCError(
        .unavailable, "cannot connect: TLS: not trusted", delivery: .notSent, isPermanent: true)
    private static let refused = RPCError(.unavailable, "cannot connect: connection refused", delivery: .notSent)

    /// Asks for a region of members that cannot be connected to, for these reasons.
    private func ask(_ failures: [String: RPCError]) async -> PDError? {
        let client = PDClient(
            endpoints: failures.keys.sorted().map { PeerAddress(host: $0, port: 2379) }, clock: self.clock,
            random: { 0.5 }, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        ) { address in
            ScriptedChannel { _, _ throws(RPCError) in throw failures[address.host] ?? Self.refused }
        }
        do throws(PDError) {
            _ = try await client.region(for: [1], deadline: Deadline(after: .seconds(30), from: self.clock.now))
            return nil
        } catch {
            return error
        }
    }

    @Test func theCallFailsAtOnceWhereNoMemberCanBeTrusted() async {
        let error = await self.ask(["a": Self.untrusted, "b": Self.untrusted])
        #expect(error?.code == .unreachable)
        #expect(error?.message.contains("a:2379: unavailable: cannot connect: TLS: not trusted") == true)
        #expect(error?.attempts.map(\.address.host) == ["a", "b"])
        #expect(self.clock.elapsed == .zero)
    }

    @Test func itGoesOnWhereOneMayComeBack() async {
        let error = await self.ask(["a": Self.untrusted, "b": Self.refused])
        #expect(error?.code == .unreachable)
        #expect(self.clock.elapsed > .seconds(20))
    }

    @Test func onlyTriesOfAllAddressesAreHopeless() {
        var attempts = PDAttempts()
        #expect(attempts.hopeless(addresses: 0) == nil)
        attempts.record(PeerAddress(host: "a", port: 1), "wrong certificate", .permanent)
        #expect(attempts.hopeless(addresses: 2) == nil)
        attempts.record(PeerAddress(host: "b", port: 1), "refused")
        #expect(attempts.hopeless(addresses: 2) == nil)
        attempts.record(PeerAddress(host: "b", port: 1), "wrong certificate", .permanent)
        #expect(attempts.hopeless(addresses: 2)?.code == .unreachable)
    }
}
