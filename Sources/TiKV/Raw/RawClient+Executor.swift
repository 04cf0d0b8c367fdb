// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

extension RawClient {
    /// Runs tasks where the client's connections are: on one of its event loops, another one at each access.
    ///
    /// From an ordinary task, a call goes to the event loop of a connection and back: two hops between threads, which can
    /// cost more than all the rest of a small call. A task that prefers this executor is there already, and so are its
    /// child tasks; its calls take a connection of its own loop, where the store has one.
    ///
    /// ```swift
    /// try await withTaskExecutorPreference(client.executor) {
    ///     for key in keys { values.append(try await client.get(key)) }
    /// }
    /// // Or for a child task:
    /// group.addTask(executorPreference: client.executor) { try await client.put(key, value: value) }
    /// ```
    ///
    /// Calls and their errors, deadlines and cancellation are the same as elsewhere. The task shares its thread with the
    /// connections of that loop: it may wait as long as it likes, but what computes for long, or blocks, holds up every
    /// call on them, and belongs into a task without this preference. An event loop that has none of a store's
    /// connections reaches that store by a hop; ``ClientConfiguration/Connection/connectionsPerStore`` of at least the
    /// machine's number of cores leaves none without.
    public var executor: any TaskExecutor { self.core.executors.next() }
}
