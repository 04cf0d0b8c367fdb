// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

/// Tells a client's observer what the transport reports of the connections to one address.
struct ObservedTransport: TransportObserver {
    let address: String
    let observer: any ClientObserver

    func connectionChanged(_ change: ConnectionStateChange) {
        let state: ConnectionChange.State =
            switch change.state {
            case .connecting: .connecting
            case .ready: .ready
            case .draining: .draining
            case .closed: .closed
            }
        self.observer.connectionChanged(
            ConnectionChange(
                address: self.address, connection: change.connection, state: state, elapsed: change.elapsed,
                waitingCalls: change.waitingCalls, reason: change.reason))
    }

    func bytesReceived(_ count: Int) {
        self.observer.bytesReceived(count, from: self.address)
    }

    func bytesSent(_ count: Int) {
        self.observer.bytesSent(count, to: self.address)
    }

    func streamsChanged(_ change: StreamCountChange) {
        self.observer.streamsChanged(change.openStreams, connection: change.connection, to: self.address)
    }

    func batchSent(commands: Int, bytes: Int) {
        self.observer.batchSent(commands: commands, bytes: bytes, to: self.address)
    }

    func commandEnded(_ stages: CommandStages) {
        self.observer.batchedRequestEnded(
            BatchedRequest(
                address: self.address, queued: stages.queued, unanswered: stages.unanswered, total: stages.total,
                requestsInMessage: stages.commandsInMessage, outcome: FinishedRPC.Outcome(stages.outcome)))
    }

    func callFinished(_ method: String, _ duration: Duration, _ error: RPCError?) {
        let outcome = FinishedRPC.Outcome(RPCOutcome(error))
        self.observer.rpcFinished(
            FinishedRPC(
                address: self.address, method: method, duration: duration, outcome: outcome,
                failure: error.map { "\($0.code)" }))
    }
}

extension FinishedRPC.Outcome {
    init(_ outcome: RPCOutcome) {
        switch outcome {
        case .ok: self = .ok
        case .timeout: self = .timeout
        case .cancelled: self = .cancelled
        case .closed: self = .closed
        case .failed: self = .failed
        }
    }
}

extension ConnectionConfiguration {
    /// These settings for the connections to one address, watched by an observer where there is one.
    func observed(by observer: (any ClientObserver)?, at address: PeerAddress) -> ConnectionConfiguration {
        guard let observer else { return self }
        var configuration = self
        configuration.observer = ObservedTransport(address: "\(address)", observer: observer)
        return configuration
    }
}
