// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOPosix
import Testing
import TiKVProto

@testable import TiKVTransport

/// Names that have several addresses, and the forms in which an address may be given.
@Suite(.timeLimit(.minutes(1)))
struct CandidateAddressTests {
    static let group = MultiThreadedEventLoopGroup.singleton

    /// Whether the machine has IPv6 at all.
    static let hasIPv6: Bool = {
        guard let address = try? SocketAddress(ipAddress: "::1", port: 0),
            let channel = try? ServerBootstrap(group: group).bind(to: address).wait()
        else { return false }
        try? channel.close().wait()
        return true
    }()

    /// Runs a server on a host and asks it under a name that resolves to these addresses.
    private func ask(serverOn host: String, name: String = "tikv.test", addresses: [String]) async throws {
        let server = try await RPCServer.bind(
            host: host, port: 0, services: RPCLoopbackTests.echo, group: Self.group, logger: BrokenPeerTests.logger)
        var configuration = RPCLoopbackTests.unbatched
        configuration.resolve = { host in
            #expect(host == name)
            return addresses
        }
        let pool = ConnectionPool(
            address: PeerAddress(host: name, port: server.address.port), group: Self.group,
            configuration: configuration, logger: BrokenPeerTests.logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await server.run() }
            defer { server.shutdown() }
            for _ in 0..<10 { try await RPCLoopbackTests.expectAnswer(pool) }
            await pool.shutdown()
        }
    }

    @Test func aNameWithOneAddress() async throws {
        try await self.ask(serverOn: "127.0.0.1", addresses: ["127.0.0.1"])
    }

    @Test func theFirstAddressIsDead() async throws {
        // Nobody listens there: all of 127.0.0.0/8 is this machine on Linux, and an address of it is unknown elsewhere.
        try await self.ask(serverOn: "127.0.0.1", addresses: ["127.0.0.9", "127.0.0.1"])
    }

    @Test func theIPv6AddressIsDead() async throws {
        try await self.ask(serverOn: "127.0.0.1", addresses: ["::1", "127.0.0.1"])
    }

    @Test(.enabled(if: hasIPv6, "needs IPv6")) func theIPv4AddressIsDead() async throws {
        try await self.ask(serverOn: "::1", addresses: ["127.0.0.1", "::1"])
    }

    @Test(.enabled(if: hasIPv6, "needs IPv6")) func anIPv6Literal() async throws {
        try await self.ask(serverOn: "::1", name: "::1", addresses: [])
    }

    @Test func aNameWithoutAddressesIsAnErrorThatNamesIt() async throws {
        var configuration = RPCLoopbackTests.unbatched
        configuration.resolve = { _ in [] }
        let pool = ConnectionPool(
            address: PeerAddress(host: "nowhere.test", port: 1), group: Self.group, configuration: configuration,
            logger: BrokenPeerTests.logger)
        let error = await RPCLoopbackTests.error { try await RPCLoopbackTests.expectAnswer(pool) }
        #expect(error?.code == .unavailable)
        #expect(error?.delivery == .notSent)
        #expect(error?.message.contains("nowhere.test") == true)
        await pool.shutdown()
    }

    @Test func aLookUpThatFailsIsTheReason() async throws {
        struct NoSuchName: Error {}
        var configuration = RPCLoopbackTests.unbatched
        configuration.resolve = { _ in throw NoSuchName() }
        let pool = ConnectionPool(
            address: PeerAddress(host: "nowhere.test", port: 1), group: Self.group, configuration: configuration,
            logger: BrokenPeerTests.logger)
        let error = await RPCLoopbackTests.error { try await RPCLoopbackTests.expectAnswer(pool) }
        #expect(error?.message.contains("NoSuchName") == true)
        await pool.shutdown()
    }

    /// NIO connects to several addresses at once when the first is slow; whoever loses is closed, in any state.
    @Test func aChannelThatLostDoesNotDisturbTheOneThatWon() async throws {
        let server = try await RPCServer.bind(
            host: "127.0.0.1", port: 0, services: RPCLoopbackTests.echo, group: Self.group,
            logger: BrokenPeerTests.logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await server.run() }
            defer { server.shutdown() }
            let loop = Self.group.next()
            let connection = try Connection(
                to: server.address, on: loop, configuration: .init(), logger: BrokenPeerTests.logger,
                onChange: { _, _ in })
            // A candidate that is up and gone before NIO has said who won.
            try await Self.candidate(of: connection, on: loop, to: server.address, becomesActive: false)
            connection.connect()
            try await Self.ask(connection)
            // One that is late.
            try await Self.candidate(of: connection, on: loop, to: server.address, becomesActive: true)
            try await Self.ask(connection)
            await connection.close()
        }
    }

    /// Opens a further channel for a connection, and returns when it is closed.
    private static func candidate(
        of connection: Connection, on loop: any EventLoop, to address: PeerAddress, becomesActive: Bool
    ) async throws {
        let channel = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if becomesActive {
                        try channel.pipeline.syncOperations.addHandler(HTTP2ChannelHandler(connection))
                    }
                }
            }
            .connect(host: address.host, port: address.port).get()
        if !becomesActive {
            // As during a TLS handshake: up for the socket, not yet for HTTP/2.
            try await loop.submit {
                try channel.pipeline.syncOperations.addHandler(HTTP2ChannelHandler(connection))
            }.get()
            try await channel.close()
        }
        try await channel.closeFuture.get()
    }

    private static func ask(_ connection: Connection) async throws {
        var message = RPCLoopbackTests.request("k")
        message.key = .init([1])
        let answer = try await connection.unary(
            path: RPCLoopbackTests.get.path, message: message.framed(limit: 100), metadata: [:], deadline: nil)
        #expect(!answer.isEmpty)
    }

    @Test(arguments: [
        ("store:20160", "store", 20160, "store:20160"), ("http://store:20160", "store", 20160, "store:20160"),
        ("https://store:20160/", "store", 20160, "store:20160"), ("10.0.0.1:1", "10.0.0.1", 1, "10.0.0.1:1"),
        ("[::1]:2379", "::1", 2379, "[::1]:2379"), ("http://[fe80::1]:2379", "fe80::1", 2379, "[fe80::1]:2379"),
    ])
    func addressesAreRead(text: String, host: String, port: Int, description: String) {
        let address = PeerAddress(text)
        #expect(address?.host == host)
        #expect(address?.port == port)
        #expect(address?.description == description)
    }

    @Test(arguments: ["", "store", "store:", "store:0", "store:65536", "[::1", "[::1]x:1", "a b:1", "http://h:1/path"])
    func whatIsNoAddressIsNone(text: String) {
        #expect(PeerAddress(text) == nil)
    }
}
