// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Gathers the details of something from its parts, which go side by side.
final class DetailRecorder<Details: Sendable>: Sendable {
    private let details: Mutex<Details>

    init(_ details: Details) {
        self.details = Mutex(details)
    }

    var value: Details { self.details.withLock { $0 } }

    func record(_ change: (inout Details) -> Void) {
        self.details.withLock { change(&$0) }
    }
}

typealias CommitRecorder = DetailRecorder<CommitDetails>
typealias LockRecorder = DetailRecorder<LockDetails>

extension DetailRecorder where Details == CommitDetails {
    convenience init() { self.init(CommitDetails()) }
}

extension DetailRecorder where Details == LockDetails {
    convenience init() { self.init(LockDetails()) }
}
