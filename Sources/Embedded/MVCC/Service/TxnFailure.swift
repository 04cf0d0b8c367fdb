// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf

/// Why a store did not do what a transactional request asked for.
enum TxnFailure: Error, Sendable {
    /// The request went to the wrong place; the client should look again and repeat it.
    case region(RegionError)
    case key(MVCCError)
    /// Where the answer has nothing but a text.
    case text(String)

    init(_ error: StorageError) {
        switch error {
        case .region(let error): self = .region(error)
        case .request(let text): self = .text(text)
        }
    }
}

extension RegionResponse {
    init(failure: TxnFailure) {
        self.init()
        switch failure {
        case .region(let error): self.regionError = error.proto
        case .text(let text): self.setError(text)
        case .key(let error):
            // Only answers with a text have no place for the error itself.
            if var response = self as? any KeyErrorResponse {
                response.setError(error.keyError)
                if let response = response as? Self { self = response }
            } else {
                self.setError(error.debugText)
            }
        }
    }
}
