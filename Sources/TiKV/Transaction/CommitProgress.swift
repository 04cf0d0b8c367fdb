// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The protocol of one commit, which its requests, side by side, look at and tell what they have found.
final class CommitProgress: Sendable {
    private let state = Mutex(CommitProtocol())

    var value: CommitProtocol { self.state.withLock { $0 } }

    func set(_ value: CommitProtocol) {
        self.state.withLock { $0 = value }
    }

    func change(_ change: (inout CommitProtocol) -> Void) {
        self.state.withLock { change(&$0) }
    }
}
