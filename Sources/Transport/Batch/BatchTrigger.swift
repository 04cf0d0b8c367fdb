// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// Decides whether the first command of a message waits for more. Reads no clock: times come in.
struct BatchTrigger: Sendable {
    /// What the first command waits for, whichever comes first.
    struct Wait: Sendable, Equatable {
        var time: TimeAmount
        var commands: Int
    }

    private let policy: BatchPolicy
    private let overload: BatchConfiguration.Overload
    private var lastFirst: NIODeadline?
    private var interval: Double = 0
    private var probability: Double = 0
    private var averageSize: Double = 0
    /// What the server said last of its load.
    var serverLoad: UInt64 = 0

    init(_ configuration: BatchConfiguration) {
        self.policy = configuration.policy
        self.overload = configuration.overload
    }

    /// Whether nothing ever waits, so that nobody needs to ask.
    var neverWaits: Bool { self.policy.wait <= 0 && self.overload.wait <= .zero }

    /// The first command of a message came.
    ///
    /// - Returns: nil where it goes at once.
    mutating func began(at now: NIODeadline) -> Wait? {
        let since = self.lastFirst.map { Double((now - $0).nanoseconds) / 1e9 } ?? .greatestFiniteMagnitude
        self.lastFirst = now
        if self.policy.wait > 0, self.wantsMore(after: since) {
            let size = self.preferredSize(self.averageSize, fixed: self.overload.commands)
            return size > 1 ? Wait(time: .nanoseconds(Int64(self.policy.wait * 1e9)), commands: size) : nil
        }
        guard self.overload.wait > .zero, self.serverLoad > self.overload.threshold else { return nil }
        return Wait(time: TimeAmount(clamping: self.overload.wait), commands: self.overload.commands)
    }

    /// A message of so many commands went out.
    mutating func sent(_ commands: Int) {
        self.averageSize = 0.2 * Double(commands) + 0.8 * self.averageSize
    }

    /// Whether more commands are likely soon enough, so long after the last first one.
    mutating func wantsMore(after seconds: Double) -> Bool {
        let policy = self.policy
        switch policy.rule {
        case .always:
            return true
        case .byInterval:
            let this = min(seconds, policy.wait * Double(policy.longestInterval))
            self.interval = self.interval == 0 ? this : policy.weight * this + (1 - policy.weight) * self.interval
            return self.interval < policy.wait * policy.threshold
        case .byProbability:
            let this: Double = seconds < policy.wait ? 1 : 0
            self.probability = policy.weight * this + (1 - policy.weight) * self.probability
            return self.probability > policy.threshold
        }
    }

    /// The number of commands that is worth waiting for.
    func preferredSize(_ average: Double, fixed: Int) -> Int {
        guard self.policy.rule != .always else { return fixed }
        let whole = average.rounded(.down)
        return Int(whole) + (average - whole >= self.policy.rounding ? 1 : 0)
    }
}
