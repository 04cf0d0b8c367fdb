// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

extension ConnectionOptions {
    /// Connects, and closes the connections when `body` has returned.
    func withRawClient<Result>(_ body: (RawClient) async throws -> sending Result) async throws -> Result {
        var configuration = ClientConfiguration()
        configuration.requestTimeout = self.timeout
        configuration.connection.tls = self.tls.configuration
        return try await RawClient.withClient(
            pd: self.endpoints,
            configuration: configuration,
            logger: self.logging.logger("tikv-cli"),
            body
        )
    }
}
