// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Runs tasks on an event loop: a task that prefers it reaches the actors of that loop's connections without a hop.
package final class EventLoopTaskExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    package init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        self.eventLoop.execute {
            unsafe job.runSynchronously(on: self.asUnownedTaskExecutor())
        }
    }
}
