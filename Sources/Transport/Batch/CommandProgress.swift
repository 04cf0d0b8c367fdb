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
