// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

extension EmbeddedCluster.Fault {
    /// Lets the fault happen to a request.
    ///
    /// - Parameters:
    ///   - regionErrorAnswer: makes the answer that carries a region error.
    ///   - perform: what the server would have done.
    func run<Response>(
        _ call: ServerCall,
        regionErrorAnswer: (EmbeddedCluster.RegionErrorKind) -> Response,
        perform: () throws -> Response
    ) async throws -> Response {
        switch self.kind {
        case .regionError(let kind):
            return regionErrorAnswer(kind)
        case .keyError, .repeatLater:
            return try perform()
        case .hold(let gate):
            try await gate.pass()
            return try perform()
        case .dropRequest:
            try await Self.waitForCancellation()
        case .dropAnswer:
            _ = try perform()
            try await Self.waitForCancellation()
        case .cutConnection:
            call.closeConnection()
            try await Self.waitForCancellation()
        case .cutConnectionAfterwards:
            _ = try perform()
            call.closeConnection()
            try await Self.waitForCancellation()
        case .delayRequest(let delay):
            await Self.wait(delay)
            return try perform()
        case .delayAnswer(let delay):
            let response = try perform()
            await Self.wait(delay)
            return response
        case .status(let code, let message):
            throw RPCError(RPCError.Code(rawValue: code) ?? .unknown, message, delivery: .answered)
        }
    }

    /// A wait for a time is what these faults are for. It ends early when the client gives the call up.
    private static func wait(_ delay: Duration) async {
        try? await Task.sleep(for: delay)
    }

    /// The call ends with its client, its deadline or its server.
    private static func waitForCancellation() async throws -> Never {
        try await EventCounter().wait(for: 1)
        throw CancellationError()
    }
}
