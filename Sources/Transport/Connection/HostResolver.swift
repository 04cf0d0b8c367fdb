// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOPosix

/// Host names looked up by a function of the user's, for NIO: one look-up for both kinds of addresses.
final class HostResolver: Resolver, Sendable {
    private let lookUp: HostLookUp
    private let ipv4: EventLoopPromise<[SocketAddress]>
    private let ipv6: EventLoopPromise<[SocketAddress]>
    private let eventLoop: any EventLoop

    init(_ lookUp: @escaping HostLookUp, on eventLoop: any EventLoop) {
        self.lookUp = lookUp
        self.eventLoop = eventLoop
        self.ipv4 = eventLoop.makePromise()
        self.ipv6 = eventLoop.makePromise()
    }

    /// NIO asks for these first.
    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        // A task of its own, as NIO's connect is not made of tasks. A connect that is given up before it ends drops its
        // result.
        self.eventLoop.makeFutureWithTask { [lookUp] in
            // An address needs no look-up.
            if let address = try? SocketAddress(ipAddress: host, port: port) { return [address] }
            return try await lookUp(host).map { try SocketAddress(ipAddress: $0, port: port) }
        }.whenComplete { result in
            switch result {
            case .success(let addresses):
                self.ipv6.succeed(addresses.filter { $0.protocol == .inet6 })
                self.ipv4.succeed(addresses.filter { $0.protocol == .inet })
            case .failure(let error):
                self.ipv6.fail(error)
                self.ipv4.fail(error)
            }
        }
        return self.ipv6.futureResult
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        self.ipv4.futureResult
    }

    func cancelQueries() {}
}
