// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// Runs tasks on an event loop: a task that prefers it reaches the actors of that loop's connections without a hop.
final class EventLoopTaskExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        self.eventLoop.execute {
            unsafe job.runSynchronously(on: self.asUnownedTaskExecutor())
        }
    }
}
