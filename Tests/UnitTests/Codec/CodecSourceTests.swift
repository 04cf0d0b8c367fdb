// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVPD

@testable import TiKV

@Suite(.timeLimit(.minutes(1))) struct CodecSourceTests {
    /// A PD that answers in this order, the last answer for ever.
    private final class Keyspaces: Sendable {
        private let answers: Mutex<[Result<KeyspaceEntry?, PDError>]>
        private let asked = Mutex<[String]>([])

        init(_ answers: [Result<KeyspaceEntry?, PDError>]) { self.answers = Mutex(answers) }

        var names: [String] { self.asked.withLock { $0 } }

        func load(_ name: String) throws(PDError) -> KeyspaceEntry? {
            self.asked.withLock { $0.append(name) }
            return try self.answers.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }.get()
        }
    }

    private let clock = VirtualClock(jumps: true)

    private func source(
        _ keyspaces: Keyspaces, _ version: APIVersion = .v2, _ name: String? = "accounts"
    ) -> CodecSource {
        CodecSource(.raw, apiVersion: version, keyspace: name, clock: self.clock) { name, _ throws(PDError) in
            try keyspaces.load(name)
        }
    }

    private var deadline: Deadline { Deadline(after: .seconds(20), from: self.clock.now) }

    private func failure(_ source: CodecSource) async -> TiKVError? {
        do throws(TiKVError) {
            _ = try await source.codec(deadline: self.deadline)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [APIVersion.v1, .v1ttl]) func outsideOfV2NobodyIsAsked(version: APIVersion) async throws {
        let keyspaces = Keyspaces([.success(nil)])
        let codec = try await self.source(keyspaces, version, nil).codec(deadline: self.deadline)
        #expect(codec.keyspace == nil)
        #expect(codec.apiVersion == version)
        #expect(keyspaces.names.isEmpty)
    }

    @Test func theNumberIsAskedOnce() async throws {
        let keyspaces = Keyspaces([.success(KeyspaceEntry(id: 7, name: "accounts", isEnabled: true))])
        let source = self.source(keyspaces)
        #expect(source.known == nil)
        for _ in 0..<3 {
            #expect(try await source.codec(deadline: self.deadline).keyspace?.prefix == [0x72, 0, 0, 7])
        }
        #expect(source.known?.keyspace?.name == "accounts")
        #expect(keyspaces.names == ["accounts"])
    }

    @Test(arguments: [nil, ""] as [String?]) func withoutANameItIsTheDefaultKeyspace(name: String?) async throws {
        let keyspaces = Keyspaces([.success(KeyspaceEntry(id: 0, name: "DEFAULT", isEnabled: true))])
        let codec = try await self.source(keyspaces, .v2, name).codec(deadline: self.deadline)
        #expect(codec.keyspace?.prefix == [0x72, 0, 0, 0])
        #expect(keyspaces.names == ["DEFAULT"])
    }

    @Test func aKeyspaceThatIsNotThereIsAskedForAgain() async throws {
        let keyspaces = Keyspaces([
            .success(nil), .success(KeyspaceEntry(id: 9, name: "accounts", isEnabled: false)),
            .failure(PDError(.unreachable, "no PD")),
            .success(KeyspaceEntry(id: 9, name: "accounts", isEnabled: true)),
        ])
        let source = self.source(keyspaces)
        #expect(await self.failure(source)?.code == .keyspaceUnavailable)
        #expect(await self.failure(source)?.code == .keyspaceUnavailable)
        #expect(await self.failure(source)?.code == .pdUnreachable)
        #expect(try await source.codec(deadline: self.deadline).keyspace?.id == 9)
    }

    @Test func whatIsNoKeyspaceOfV2IsRefused() async {
        // Never taken for number 0.
        let ofV3 = KeyspaceEntry(id: 0, name: "accounts", isEnabled: true, isOfV3: true)
        let error = await self.failure(self.source(Keyspaces([.success(ofV3)])))
        #expect(error?.code == .keyspaceUnavailable)
        #expect(error?.message.contains("V3") == true)
        let large = KeyspaceEntry(id: 0x100_0000, name: "accounts", isEnabled: true)
        #expect(await self.failure(self.source(Keyspaces([.success(large)])))?.code == .keyspaceUnavailable)
        #expect(throws: TiKVError.self) { try CodecSource.codec(.raw, nil, name: "accounts") }
    }
}
