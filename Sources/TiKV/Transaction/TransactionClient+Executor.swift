// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

extension TransactionClient {
    /// Runs tasks where the client's connections are: on one of its event loops, another one at each access. A transaction
    /// that a task drives there costs fewer hops between threads; what is said of ``RawClient/executor`` holds here, too.
    public var executor: any TaskExecutor { self.core.executors.next() }
}
