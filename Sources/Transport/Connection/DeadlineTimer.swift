// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// One timer for all the deadlines of a connection: set for the earliest, set anew when it fires.
///
/// A deadline that is no longer needed is left in place: at worst the timer fires once for nothing.
struct DeadlineTimer {
    private var armed: (deadline: NIODeadline, task: Scheduled<Void>)?

    /// Makes sure that `fire` runs no later than the deadline.
    mutating func arm(_ deadline: NIODeadline, on eventLoop: any EventLoop, _ fire: @escaping @Sendable () -> Void) {
        if let armed = self.armed {
            guard deadline < armed.deadline else { return }
            armed.task.cancel()
        }
        self.armed = (deadline, eventLoop.scheduleTask(deadline: deadline, fire))
    }

    /// To be called when the timer has fired, before it is armed again.
    mutating func fired() {
        self.armed = nil
    }

    mutating func cancel() {
        self.armed?.task.cancel()
        self.armed = nil
    }
}

extension NIODeadline {
    /// A time from now; as late as can be told where it would be later.
    static func after(_ duration: Duration, from now: NIODeadline = .now()) -> NIODeadline {
        now + TimeAmount(clamping: duration)
    }
}

extension TimeAmount {
    /// A duration in nanoseconds, cut at about a hundred years.
    init(clamping duration: Duration) {
        let (seconds, attoseconds) = duration.components
        guard abs(seconds) < 3_000_000_000 else {
            self = .seconds(seconds < 0 ? -3_000_000_000 : 3_000_000_000)
            return
        }
        self = .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
