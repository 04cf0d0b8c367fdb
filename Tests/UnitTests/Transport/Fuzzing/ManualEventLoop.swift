// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Dispatch
import NIOCore
import NIOEmbedded

/// An event loop for actors and tasks on the thread of whoever turns it. (`EmbeddedEventLoop` runs no actors.)
///
/// `@unchecked`: the one thread that made it is the only one that uses it; `EmbeddedEventLoop` traps on any other.
final class ManualEventLoop: EventLoop, @unchecked Sendable {
    let embedded = EmbeddedEventLoop()

    /// Jobs of actors on this loop.
    private final class Executor: SerialExecutor {
        private let loop: EmbeddedEventLoop

        init(_ loop: EmbeddedEventLoop) { self.loop = loop }

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            self.loop.execute { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
        }

        // There is one thread, and it is this loop's.
        func checkIsolated() {}
        func isIsolatingCurrentContext() -> Bool? { true }
    }

    private let jobs: Executor

    init() {
        self.jobs = Executor(self.embedded)
    }

    /// Runs what there is to run, and what that makes to run.
    func turn() { self.embedded.run() }

    var executor: any SerialExecutor { self.jobs }
    var inEventLoop: Bool { true }
    var now: NIODeadline { self.embedded.now }

    func execute(_ task: @escaping @Sendable () -> Void) { self.embedded.execute(task) }

    func submit<T>(_ task: @escaping @Sendable () throws -> T) -> EventLoopFuture<T> { self.embedded.submit(task) }

    func scheduleTask<T>(deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        self.embedded.scheduleTask(deadline: deadline, task)
    }

    func scheduleTask<T>(in time: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        self.embedded.scheduleTask(in: time, task)
    }

    func next() -> any EventLoop { self }
    func makeIterator() -> EventLoopIterator { EventLoopIterator([self]) }
    func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        queue.async { callback(nil) }
    }
}
