// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

extension MomentOptions {
    /// The state to be read: the present one where nothing else was said.
    func snapshot(of client: TransactionClient) async throws -> Snapshot {
        if let at = self.at { return client.snapshot(at: Timestamp(rawValue: at)) }
        if let ago = self.ago { return client.snapshot(at: try await client.timestamp(ago: ago)) }
        return client.snapshot()
    }
}
