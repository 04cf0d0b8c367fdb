// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

extension PDService {
    /// Sends what is new, now and whenever the model's PD may have changed, until the call ends or the member leads no more.
    ///
    /// - Parameter news: runs under the model's lock; nil where there is nothing new.
    func watch<Response: Sendable>(
        _ member: Int, _ call: ServerCall, access: Access = .leader,
        news: (inout ClusterModel) throws -> Response?, send: (Response) async throws -> Void
    ) async throws {
        while true {
            // Counted first: a change that comes while we look is not missed.
            let seen = self.model.pdChanges.count
            let response = try self.model.withLock { model in
                try model.admit(member, access, call.metadata)
                return try news(&model)
            }
            if let response { try await send(response) }
            try await self.model.pdChanges.wait(for: seen + 1)
        }
    }
}
