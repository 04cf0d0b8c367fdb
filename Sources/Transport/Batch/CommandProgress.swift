// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// How far a batched command has come, for the error of one that is given up.
struct CommandProgress: Sendable, Equatable {
    var queuedAt: NIODeadline
    var sentAt: NIODeadline?
    /// Commands in its message.
    var batchSize = 0

    /// In words: what it waits for, and for how long it has waited for what.
    ///
    /// - Parameter isOvertaken: a command that was sent later has been answered, so the stream and the server work.
    func description(at now: NIODeadline, isOvertaken: Bool) -> String {
        guard let sentAt = self.sentAt else {
            return "it waited \(Self.text(now - self.queuedAt)) to be sent"
        }
        let answers = isOvertaken ? "; later ones were answered" : ""
        return "it was sent after \(Self.text(sentAt - self.queuedAt)) in a message of \(self.batchSize),"
            + " and not answered for \(Self.text(now - sentAt))\(answers)"
    }

    /// Clocks of different turns may be read out of order: never less than nothing.
    private static func text(_ time: TimeAmount) -> String {
        let microseconds = max(time.nanoseconds, 0) / 1_000
        return microseconds < 10_000 ? "\(microseconds) µs" : "\(microseconds / 1_000) ms"
    }
}

/// How long a batched command waited for what.
package struct CommandStages: Sendable, Equatable {
    /// From being asked for until it was put into a message.
    package var queued: Duration
    /// From then on until its answer came, or it ended without; nil where it never was in a message.
    package var unanswered: Duration?
    /// All of it.
    package var total: Duration
    package var commandsInMessage: Int
    package var outcome: RPCOutcome
    /// The stage in which it ended where its outcome is not good; the stages before it went well.
    package var endedIn: Stage

    package enum Stage: Sendable {
        case queued
        case unanswered
        case done
    }
}

extension CommandProgress {
    /// Clocks that were read out of order make no stage shorter than a nanosecond.
    func stages(until end: NIODeadline, _ outcome: RPCOutcome) -> CommandStages {
        func time(_ from: NIODeadline, _ to: NIODeadline) -> Duration { .nanoseconds(max((to - from).nanoseconds, 1)) }
        let total = time(self.queuedAt, end)
        guard let sentAt = self.sentAt else {
            return CommandStages(
                queued: total, unanswered: nil, total: total, commandsInMessage: 0, outcome: outcome,
                endedIn: .queued)
        }
        return CommandStages(
            queued: time(self.queuedAt, sentAt), unanswered: time(sentAt, end), total: total,
            commandsInMessage: self.batchSize, outcome: outcome, endedIn: outcome == .ok ? .done : .unanswered)
    }
}

/// Commands that have waited long for their answers.
struct PendingCommands: Sendable, Equatable {
    /// From here on a command counts as slow, and as hanging.
    static let slow = TimeAmount.seconds(30)
    static let hanging = TimeAmount.seconds(90)

    var oldest: TimeAmount = .zero
    var slow = 0
    var hanging = 0
    /// Of these, the ones behind which nothing was answered on the stream: perhaps it is the stream that hangs.
    var slowNotOvertaken = 0
    var hangingNotOvertaken = 0

    mutating func add(_ progress: CommandProgress, at now: NIODeadline, isOvertaken: Bool) {
        let age = now - progress.queuedAt
        self.oldest = max(self.oldest, age)
        if age >= Self.slow {
            self.slow += 1
            if !isOvertaken { self.slowNotOvertaken += 1 }
        }
        if age >= Self.hanging {
            self.hanging += 1
            if !isOvertaken { self.hangingNotOvertaken += 1 }
        }
    }
}
