// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

extension TiKVError {
    init(_ error: PDError) {
        let code: Code =
            switch error.code {
            case .unreachable: .pdUnreachable
            case .clusterIDMismatch: .clusterIDMismatch
            case .deadlineExceeded: .deadlineExceeded
            case .cancelled: .cancelled
            case .closed: .clientClosed
            case .unimplemented: .unsupported
            case .server: .serverError
            case .invalidTimestamp: .invalidArgument
            }
        self.init(
            code, error.message, detail: error.detail,
            attempts: error.attempts.map { Attempt(address: "\($0.address)", reason: $0.reason) })
    }
}

extension TiKVError {
    /// Whether a failure to ask PD comes from the deadline or the cancellation of the call that asked, and says nothing to
    /// others that wait for the same answer.
    var isCallersOwn: Bool {
        self.code == .cancelled || self.code == .deadlineExceeded || self.code == .pdUnreachable
    }
}
