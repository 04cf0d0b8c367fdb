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
    /// Whether a store that does not know what became of the request is asked again, since it would tell the second time.
    var asksAgainIfUndetermined = false
    /// How keys look to the store.
    var codec = KeyCodec.v1(.raw)
    let options: RequestOptions
    var backoff = Backoff()
    /// Whom to ask next in the present region; nil as long as its leader was not asked in vain.
    var selector: ReplicaSelector?
    /// The replica of the present region that was asked without a selector.
    var firstTry: Int?
    /// How often the request was sent.
    var sends = 0
    /// Whether an earlier try may have taken effect.
    var isOutcomeUnknown = false
    /// What stores say that the call cost them.
    var details = ExecutionDetails()
    /// Which replica the first try went to, in the words of the request's source.
    var firstSource: String?
    private var moves = 0
    private var attempts: [TiKVError.Attempt] = []
    private var lastFailure: (code: TiKVError.Code, message: String)?
    /// How often each thing went wrong, in the order in which they first did.
    private var failures: [(name: String, count: Int)] = []

    init(deadline: Deadline, isWrite: Bool, options: RequestOptions = .init()) {
        self.deadline = deadline
        self.isWrite = isWrite
        self.options = options
    }

    /// The call goes to another region, or to what the region has become.
    mutating func enterRegion() {
        self.selector = nil
        self.firstTry = nil
    }

    /// The wait that a move without one must take after all.
    mutating func move(_ kind: BackoffKind = .regionMiss) -> BackoffKind? {
        self.moves += 1
        return self.moves > Self.freeMoves ? kind : nil
    }

    /// Remembers why a try failed.
    ///
    /// - Parameter name: what to count it as; the message where there is none.
    mutating func record(_ code: TiKVError.Code, _ message: String, name: String? = nil, address: String? = nil) {
        self.lastFailure = (code, message)
        if let name {
            if let index = self.failures.firstIndex(where: { $0.name == name }) {
                self.failures[index].count += 1
            } else {
                self.failures.append((name, 1))
            }
        }
        guard let address else { return }
        self.attempts.removeAll { $0.address == address }
        self.attempts.append(TiKVError.Attempt(address: address, reason: message))
    }

    /// Remembers why there was no try, where no try has found out more.
    mutating func recordIfNothing(_ code: TiKVError.Code, _ message: String) {
        if self.lastFailure == nil { self.record(code, message) }
    }

    /// Remembers that the call's time was over before the request could be sent, where no try at that address has found
    /// out more.
    mutating func recordCutShort(_ message: String, address: String) {
        guard !self.attempts.contains(where: { $0.address == address }) else { return }
        self.record(.storeUnreachable, message, address: address)
    }

    /// The error for a call whose time is over: it says what kept it from succeeding, how often that was met, and what was
    /// waited for.
    func expired(cause: TiKVError? = nil) -> TiKVError {
        guard let failure = self.lastFailure else {
            return TiKVError(
                .deadlineExceeded, "no answer came before the deadline", cause: cause, attempts: self.attempts)
        }
        var words = ["no success before the deadline; last: \(failure.message)"]
        if self.sends > 0 { words.append("sent \(self.sends) times") }
        if !self.failures.isEmpty {
            words.append("met " + self.failures.map { "\($0.name) \($0.count) times" }.joined(separator: ", "))
        }
        if !self.backoff.report.isEmpty { words.append(self.backoff.report) }
        // What took most of the time is the best reason; waits for a region say nothing but that the last try failed.
        let code = self.backoff.longest.flatMap { TiKVError.Code($0) } ?? failure.code
        return TiKVError(code, words.joined(separator: "; "), cause: cause, attempts: self.attempts)
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

extension TiKVError.Code {
    /// The reason that a wait of this kind stands for; nil where it may be many.
    init?(_ kind: BackoffKind) {
        switch kind {
        case .tikvRPC: self = .storeUnreachable
        case .serverBusy: self = .serverIsBusy
        case .diskFull: self = .diskFull
        case .recoveryInProgress: self = .recoveryInProgress
        case .pdRPC: self = .pdUnreachable
        default: return nil
        }
    }
}
