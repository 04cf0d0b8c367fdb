// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

/// What one request has been through: its deadline, its waits, whom it tried, and what it will say if it fails.
struct RegionCall: Sendable {
    /// How often a call may be sent on at once; then it waits a little each time, lest two stores that point at each other
    /// keep it running in circles.
    static let freeMoves = 4

    let deadline: Deadline
    /// Whether the request changes anything, so that an answer that never came leaves its outcome unknown.
    let isWrite: Bool
    /// Whether the request may be sent again where an earlier try may have taken effect: the same done twice is the same.
    var isRepeatable = true
    /// How keys look to the store.
    var codec = KeyCodec.v1(.raw)
    var backoff = Backoff()
    /// Peers of the present region that have failed.
    var triedPeers: [UInt64] = []
    /// How often the request was sent.
    var sends = 0
    /// Whether an earlier try may have taken effect.
    var isOutcomeUnknown = false
    private var moves = 0
    private var attempts: [TiKVError.Attempt] = []
    private var lastFailure: (code: TiKVError.Code, message: String)?

    init(deadline: Deadline, isWrite: Bool) {
        self.deadline = deadline
        self.isWrite = isWrite
    }

    /// The wait that a move without one must take after all.
    mutating func move() -> BackoffKind? {
        self.moves += 1
        return self.moves > Self.freeMoves ? .regionMiss : nil
    }

    /// Remembers why a try failed.
    mutating func record(_ code: TiKVError.Code, _ message: String, address: String? = nil) {
        self.lastFailure = (code, message)
        guard let address else { return }
        self.attempts.removeAll { $0.address == address }
        self.attempts.append(TiKVError.Attempt(address: address, reason: message))
    }

    /// Remembers that the call's time was over before the request could be sent, where no try at that address has found
    /// out more.
    mutating func recordCutShort(_ message: String, address: String) {
        guard !self.attempts.contains(where: { $0.address == address }) else { return }
        self.record(.storeUnreachable, message, address: address)
    }

    /// The error for a call whose time is over: it says what kept it from succeeding.
    func expired(cause: TiKVError? = nil) -> TiKVError {
        guard let failure = self.lastFailure else {
            return TiKVError(
                .deadlineExceeded, "no answer came before the deadline", cause: cause, attempts: self.attempts)
        }
        let kind = self.backoff.longest.map { " (waited for \($0.name) most)" } ?? ""
        return TiKVError(
            failure.code, "no success before the deadline; last: \(failure.message)\(kind)", cause: cause,
            attempts: self.attempts)
    }

    /// The error for a call that could not ask PD.
    ///
    /// Where the call's time is over and something else had gone wrong before, that is the reason: it is why PD was asked.
    func failed(toAskPD error: TiKVError, hasDeadlinePassed: Bool) -> TiKVError {
        guard hasDeadlinePassed, self.lastFailure != nil, error.code != .cancelled, error.isCallersOwn else {
            return error
        }
        return self.expired(cause: error)
    }

    /// The error for a request that was sent and not answered in time.
    func unanswered(by store: StoreHandle) -> TiKVError {
        TiKVError(
            .deadlineExceeded, "store \(store.id) at \(store.address) did not answer before the deadline",
            attempts: self.attempts)
    }

    /// The error as the caller sees it: of a write that may have taken effect, never a plain failure.
    func final(_ error: TiKVError) -> TiKVError {
        self.isWrite && self.isOutcomeUnknown ? error.withUnknownOutcome() : error
    }
}
