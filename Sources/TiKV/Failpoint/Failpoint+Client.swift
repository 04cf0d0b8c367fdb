// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVFailpoints

extension Failpoint {
    /// What a test has asked for here; nothing in builds without failpoints. With a failure as the client's other failures are.
    @discardableResult
    func hit() async throws(TiKVError) -> FailpointValue? {
        do throws(FailpointError) {
            return try await self.evaluate()
        } catch {
            switch error {
            case .cancelled: throw TiKVError(.cancelled, "the task was cancelled")
            default: throw TiKVError(.internalError, "\(error)")
            }
        }
    }
}
