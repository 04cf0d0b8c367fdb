// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

extension ClientCore {
    /// Refuses a read of a moment that is yet to come: what it sees could change. PD is asked only where the timestamp is
    /// above all that this client has seen.
    func validate(_ timestamp: UInt64, isStaleRead: Bool, deadline: Deadline) async throws(TiKVError) {
        do throws(PDError) {
            try await self.pd.oracle.validate(
                readTimestamp: TiKVPD.Timestamp(rawValue: timestamp), isStaleRead: isStaleRead, deadline: deadline)
        } catch {
            throw TiKVError(error)
        }
    }
}
