// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVTransport

/// A store that can be sent requests.
final class StoreHandle: Sendable {
    let id: UInt64
    let address: PeerAddress
    let channel: any RPCChannel
    /// What the store said about itself last.
    let reports: StoreReportBoard

    init(id: UInt64, address: PeerAddress, channel: any RPCChannel, reports: StoreReportBoard) {
        self.reports = reports
        self.id = id
        self.address = address
        self.channel = channel
    }
}
