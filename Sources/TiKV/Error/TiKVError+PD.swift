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
            }
        self.init(
            code, error.message, detail: error.detail,
            attempts: error.attempts.map { Attempt(address: "\($0.address)", reason: $0.reason) })
    }
}
