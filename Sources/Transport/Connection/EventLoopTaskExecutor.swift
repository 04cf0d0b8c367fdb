// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import NIOCore
internal import Synchronization

/// Runs tasks on an event loop: a task that prefers it reaches the actors of that loop's connections without a hop.
///
/// Tasks that become ready within one turn of the loop are one piece of work for it, so that each costs little more than
/// its place in a list.
package final class EventLoopTaskExecutor: TaskExecutor {
    private let eventLoop: any EventLoop
    private let jobs = Mutex<[UnownedJob]>([])

    package init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isFirst = self.jobs.withLock { jobs in
            jobs.append(job)
            return jobs.count == 1
        }
        if isFirst { self.eventLoop.execute { self.runAll() } }
    }

    /// Runs the jobs that are here. Those that come meanwhile wait for the loop's next piece of work, after what else it
    /// has to do.
    private func runAll() {
        let ready = self.jobs.withLock { jobs in
            var ready: [UnownedJob] = []
            swap(&ready, &jobs)
            jobs.reserveCapacity(ready.count)
            return ready
        }
        for job in ready { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
