// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV
import TiKVPD

extension ConnectionOptions {
    /// Asks PD, and closes the connections when `body` has returned.
    func withPDClient<Result>(_ body: (PDClient) async throws -> sending Result) async throws -> Result {
        var configuration = ClientConfiguration()
        configuration.requestTimeout = self.timeout
        configuration.connection.tls = self.tls.configuration
        return try await PDAccess.withClient(
            pd: self.endpoints, configuration: configuration, logger: self.logging.logger("tikv-cli"), body)
    }

    /// The end of an operation that begins now.
    var deadline: Deadline { Deadline(after: self.timeout, from: .now) }
}
