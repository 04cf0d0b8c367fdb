// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// Decides when to probe a silent peer, and when to give it up. Reads no clock: times come in.
struct KeepAlive: Sendable {
    enum Action: Sendable, Equatable {
        /// Look again at this time.
        case wait(until: NIODeadline)
        /// Send a PING, then look again at this time.
        case ping(thenWaitUntil: NIODeadline)
        /// The peer did not answer.
        case giveUp
    }

    private let interval: TimeAmount
    private let timeout: TimeAmount
    private var lastHeard: NIODeadline
    private var probedAt: NIODeadline?

    init(interval: TimeAmount, timeout: TimeAmount, now: NIODeadline) {
        self.interval = interval
        self.timeout = timeout
        self.lastHeard = now
    }

    /// Something arrived.
    mutating func heard(at now: NIODeadline) {
        self.lastHeard = now
        self.probedAt = nil
    }

    /// The time that an action named has come.
    ///
    /// - Parameter mayProbe: false where the connection is idle and the peer takes PINGs of idle connections amiss.
    mutating func look(at now: NIODeadline, mayProbe: Bool = true) -> Action {
        if let probedAt = self.probedAt {
            let end = probedAt + self.timeout
            return now >= end ? .giveUp : .wait(until: end)
        }
        let due = self.lastHeard + self.interval
        guard now >= due else { return .wait(until: due) }
        guard mayProbe else { return .wait(until: now + self.interval) }
        self.probedAt = now
        return .ping(thenWaitUntil: now + self.timeout)
    }
}
