// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension EmbeddedCluster {
    /// Something that goes wrong with a request. See ``EmbeddedCluster/inject(_:into:times:)``.
    public struct Fault: Sendable {
        enum Kind: Sendable {
            case regionError(RegionErrorKind)
            case keyError(KeyErrorKind)
            case hold(Gate)
            case dropRequest
            case dropAnswer
            case cutConnection
            case cutConnectionAfterwards
            case delayRequest(Duration)
            case delayAnswer(Duration)
            case repeatLater(Int)
            case status(code: Int, message: String)
        }

        let kind: Kind

        /// The store does nothing and answers with a region error. PD never does.
        public static func regionError(_ error: RegionErrorKind) -> Fault { Fault(kind: .regionError(error)) }

        /// The store does nothing and says that something is wrong with a key. Requests whose answers have no place for
        /// that, which are all but the transactional ones, are served as usual.
        public static func keyError(_ error: KeyErrorKind) -> Fault { Fault(kind: .keyError(error)) }

        /// The request waits at the gate before the server looks at it, and goes on as usual from there.
        public static func hold(_ gate: Gate) -> Fault { Fault(kind: .hold(gate)) }

        /// The server does nothing and never answers; the call ends when the client gives it up.
        public static let dropRequest = Fault(kind: .dropRequest)

        /// The server does what it was asked to do and never answers: the client cannot know that it was done.
        public static let dropAnswer = Fault(kind: .dropAnswer)

        /// The server closes the connection that the request came on instead of looking at it. Every other call on that
        /// connection breaks as well.
        public static let cutConnection = Fault(kind: .cutConnection)

        /// The server does what it was asked to do, and closes the connection that the request came on instead of answering.
        /// Every other call on that connection breaks as well.
        public static let cutConnectionAfterwards = Fault(kind: .cutConnectionAfterwards)

        /// The request is late: the server looks at it when so much time has passed, or at once when the client gives it up
        /// before. What the client gave up is done all the same.
        public static func delayRequest(_ delay: Duration) -> Fault { Fault(kind: .delayRequest(delay)) }

        /// The server does at once what it was asked to do, and answers when so much time has passed.
        public static func delayAnswer(_ delay: Duration) -> Fault { Fault(kind: .delayAnswer(delay)) }

        /// The server does what it was asked to do and answers, and does it once more when stores have got so many
        /// other requests of transactions, as if the request had come twice, the second time late. Nobody gets that answer.
        /// Requests for raw data, and those to PD, are served as usual.
        public static func repeatLater(afterRequests count: Int) -> Fault { Fault(kind: .repeatLater(count)) }

        /// The server does nothing and ends the call with a gRPC status.
        ///
        /// - Parameter code: a status code of gRPC, such as 14 for unavailable. Others become 2, unknown.
        public static func status(code: Int, message: String) -> Fault {
            Fault(kind: .status(code: code, message: message))
        }

        var keyError: KeyErrorKind? {
            if case .keyError(let error) = self.kind { error } else { nil }
        }

        var isRegionError: Bool {
            if case .regionError = self.kind { true } else { false }
        }
    }

    /// Which requests a fault is for. What is nil matches everything.
    public struct FaultScope: Sendable {
        /// The name of the RPC without its service, such as `RawGet` or `GetRegion`.
        public var rpc: String?
        /// The region that the request names in its context. Requests to PD name none.
        public var regionID: UInt64?
        /// The server that gets the request.
        public var server: Server?

        /// A scope; what is not named matches everything.
        public init(rpc: String? = nil, regionID: UInt64? = nil, server: Server? = nil) {
            self.rpc = rpc
            self.regionID = regionID
            self.server = server
        }

        func matches(rpc: String, server: Server, regionID: UInt64?) -> Bool {
            (self.rpc == nil || self.rpc == rpc) && (self.server?.covers(server) ?? true)
                && (self.regionID == nil || self.regionID == regionID)
        }
    }

    /// One of the cluster's servers.
    public struct Server: Hashable, Sendable {
        private enum Kind: Hashable, Sendable {
            case placementDriver(Int?)
            case store(UInt64)
            case timestamps(Int)
        }

        private let kind: Kind

        /// PD, whichever of its members.
        public static let placementDriver = Server(kind: .placementDriver(nil))

        /// The member of PD with this number, of which the first is 1.
        public static func placementDriver(_ member: Int) -> Server { Server(kind: .placementDriver(member)) }

        /// The store with this id.
        public static func store(_ id: UInt64) -> Server { Server(kind: .store(id)) }

        /// The server with this number, of which the first is 1, that hands out timestamps in PD's place. See
        /// ``EmbeddedCluster/Configuration/timestampServers``.
        public static func timestampServer(_ number: Int) -> Server { Server(kind: .timestamps(number)) }

        var isStore: Bool { if case .store = self.kind { true } else { false } }

        /// Whether this stands for the other, too.
        func covers(_ other: Server) -> Bool {
            if case .placementDriver(nil) = self.kind, case .placementDriver = other.kind { return true }
            return self == other
        }
    }

    /// Names an injected fault, to take it back.
    public struct FaultID: Hashable, Sendable {
        let number: Int
    }
}
