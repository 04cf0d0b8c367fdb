// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import TiKVTransport

/// How a question to PD failed.
package struct PDError: Error, Sendable {
    package enum Code: Sendable, Hashable {
        /// No member of PD could be reached, or none leads, until the deadline.
        case unreachable
        /// A member belongs to another cluster than the one that this client has spoken to.
        case clusterIDMismatch(expected: UInt64, actual: UInt64)
        /// The deadline passed while waiting for an answer.
        case deadlineExceeded
        /// The task was cancelled.
        case cancelled
        /// The client was closed.
        case closed
        /// The server doesn't know this call.
        case unimplemented
        /// The server answered with an error of its own.
        case server
        /// A timestamp that is none, or one that PD has yet to hand out.
        case invalidTimestamp
    }

    /// One try that failed.
    package struct Attempt: Sendable, Hashable {
        package let address: PeerAddress
        package let reason: String

        package init(address: PeerAddress, reason: String) {
            self.address = address
            self.reason = reason
        }
    }

    package var code: Code
    /// What happened, without anything that a server said.
    package var message: String
    /// The server's own words; they may contain keys.
    package var detail: String
    /// The last failed try at each address, in the order of the tries.
    package var attempts: [Attempt]

    package init(_ code: Code, _ message: String, detail: String = "", attempts: [Attempt] = []) {
        self.code = code
        self.message = message
        self.detail = detail
        self.attempts = attempts
    }
}

/// The failed tries of one call: for each address the last, so that they stay few however long the call goes on.
struct PDAttempts: Sendable {
    enum Kind: Sendable, Hashable {
        case failure
        /// The question arrived and was never answered.
        case silence
        /// The time was over before the question could be sent.
        case cutShort
        /// Another connect would fail in the same way: certificates, or whether to speak TLS at all, do not fit.
        case permanent
    }

    private(set) var list: [PDError.Attempt] = []
    private var kinds: [PeerAddress: Kind] = [:]

    mutating func record(_ address: PeerAddress, _ reason: String, _ kind: Kind = .failure) {
        // Says less than what an earlier try found out.
        if kind == .cutShort, self.kinds[address] != nil { return }
        self.list.removeAll { $0.address == address }
        self.list.append(PDError.Attempt(address: address, reason: reason))
        self.kinds[address] = kind
    }

    mutating func merge(_ other: PDAttempts) {
        for attempt in other.list {
            self.record(attempt.address, attempt.reason, other.kinds[attempt.address] ?? .failure)
        }
    }

    /// The error where each of so many addresses was tried, and no further try can be any better; nil where one can.
    func hopeless(addresses: Int) -> PDError? {
        guard self.list.count >= addresses, !self.list.isEmpty,
            self.list.allSatisfy({ self.kinds[$0.address] == .permanent })
        else { return nil }
        let tries = self.list.map { "\($0.address): \($0.reason)" }.joined(separator: "; ")
        return PDError(.unreachable, "PD cannot be reached; tried \(tries)", attempts: self.list)
    }

    /// The error for a call whose time is over.
    func expired() -> PDError {
        guard !self.list.isEmpty else {
            return PDError(.deadlineExceeded, "PD did not answer before the deadline")
        }
        let tries = self.list.map { "\($0.address): \($0.reason)" }.joined(separator: "; ")
        if self.list.allSatisfy({ self.kinds[$0.address] == .silence }) {
            return PDError(
                .deadlineExceeded, "PD did not answer before the deadline; tried \(tries)", attempts: self.list)
        }
        return PDError(.unreachable, "PD could not be reached before the deadline; tried \(tries)", attempts: self.list)
    }
}
