// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import NIOCore
internal import Synchronization

/// Executors of a group's event loops, one for each, handed out in turn.
package final class EventLoopExecutors: Sendable {
    private let executors: [EventLoopTaskExecutor]
    private let turn = Atomic<Int>(0)

    package init(_ group: any EventLoopGroup) {
        self.executors = group.makeIterator().map { EventLoopTaskExecutor($0) }
    }

    /// The next in turn, so that tasks which each take one are spread over the loops.
    package func next() -> any TaskExecutor {
        let turn = self.turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return self.executors[Int(UInt(bitPattern: turn) % UInt(self.executors.count))]
    }
}
