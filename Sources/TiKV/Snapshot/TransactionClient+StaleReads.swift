// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

extension TransactionClient {
    /// What PD's clock said some time ago, as near as can be told without asking: for stale reads.
    ///
    /// ```swift
    /// let moment = try await client.timestamp(ago: .seconds(5))
    /// let snapshot = client.snapshot(at: moment, options: .init(replicaRead: .mixed.near(zone), isStaleRead: true))
    /// ```
    ///
    /// - Parameters:
    ///   - age: how long ago; not negative.
    ///   - timeout: the time for the call where PD must be asked after all, which is the first time;
    ///     ``ClientConfiguration/requestTimeout`` by default.
    /// - Throws: ``TiKVError``; ``TiKVError/Code/invalidArgument`` for a time before the beginning of 1970, or in the future.
    public func timestamp(ago age: Duration, timeout: Duration? = nil) async throws(TiKVError) -> Timestamp {
        guard age >= .zero else { throw TiKVError(.invalidArgument, "a moment must not lie in the future") }
        do throws(PDError) {
            let found = try await self.core.pd.oracle.staleTimestamp(age, deadline: self.context.deadline(timeout))
            return Timestamp(rawValue: found.rawValue)
        } catch {
            throw TiKVError(error)
        }
    }
}
