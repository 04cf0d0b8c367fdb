// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension SharedModel {
    /// Works on the model, and tells those whose waits for locks have ended by that.
    ///
    /// - Parameter body: gets the time of the waits in milliseconds.
    func withTransactions<Result: Sendable, Failure: Error>(
        _ body: (inout ClusterModel, UInt64) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let now = self.waitClock.milliseconds
        var isChanged = false
        defer { if isChanged { self.lockWaits.changes.add() } }
        return try self.withLock { model throws(Failure) in
            let version = model.transactions.waitVersion
            defer {
                // Under the lock, so that whoever takes a wait back knows that nothing is on its way any more. Resuming
                // a task only puts it into its executor's queue.
                for (token, result) in model.transactions.takeFinishedWaits() { self.lockWaits.end(token, result) }
                isChanged = model.transactions.waitVersion != version
            }
            return try body(&model, now)
        }
    }

    /// Ends the waits whose time is over, until the task is cancelled.
    func endLockWaitsInTime() async {
        while !Task.isCancelled {
            let seen = self.lockWaits.changes.count
            let next = self.withTransactions { model, now in
                model.expireLockWaits(now: now)
                return model.transactions.nextEvent
            }
            await withTaskGroup(of: Void.self) { group in
                // Both end early when the group is cancelled, which is all that can go wrong with them.
                group.addTask { try? await self.lockWaits.changes.wait(for: seen + 1) }
                if let next { group.addTask { try? await self.waitClock.sleep(until: next) } }
                await group.next()
                group.cancelAll()
            }
        }
    }
}
