// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Host names looked up by a function of the user's, for NIO: one look-up for both kinds of addresses.
final class HostResolver: Resolver, Sendable {
    private let lookUp: HostLookUp
    private let ipv4: EventLoopPromise<[SocketAddress]>
    private let ipv6: EventLoopPromise<[SocketAddress]>
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(_ lookUp: @escaping HostLookUp, on eventLoop: any EventLoop) {
        self.lookUp = lookUp
        self.ipv4 = eventLoop.makePromise()
        self.ipv6 = eventLoop.makePromise()
    }

    /// NIO asks for these first.
    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        // A task of its own, as NIO's connect is not made of tasks. It is cancelled when the connect is over.
        let task = Task { [lookUp = self.lookUp, ipv4 = self.ipv4, ipv6 = self.ipv6] in
            do {
                let addresses: [SocketAddress]
                // An address needs no look-up.
                if let address = try? SocketAddress(ipAddress: host, port: port) {
                    addresses = [address]
                } else {
                    addresses = try await lookUp(host).map { try SocketAddress(ipAddress: $0, port: port) }
                }
                ipv6.succeed(addresses.filter { $0.protocol == .inet6 })
                ipv4.succeed(addresses.filter { $0.protocol == .inet })
            } catch {
                ipv6.fail(error)
                ipv4.fail(error)
            }
        }
        self.task.withLock { $0 = task }
        return self.ipv6.futureResult
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        self.ipv4.futureResult
    }

    /// The connect is over: nobody waits for an answer any more. Called by NIO, and by the connection that gives up.
    func cancelQueries() {
        guard let task = self.task.withLock({ $0.take() }) else { return }
        task.cancel()
        // At once, whether or not the user's function heeds the cancellation. What was answered before stays.
        self.ipv6.fail(CancellationError())
        self.ipv4.fail(CancellationError())
    }
}
