// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

extension ConnectionOptions {
    /// Connects, and closes the connections when `body` has returned.
    ///
    /// - Parameter isAtomic: whether writes are safe against compare-and-swap, which needs it.
    func withRawClient<Result>(
        isAtomic: Bool = false, _ body: (RawClient) async throws -> sending Result
    ) async throws -> Result {
        var configuration = ClientConfiguration()
        configuration.requestTimeout = self.timeout
        configuration.apiVersion = self.version.apiVersion
        configuration.keyspace = self.keyspace
        configuration.raw.isAtomic = isAtomic
        configuration.connection.tls = self.tls.configuration
        return try await RawClient.withClient(
            pd: self.endpoints,
            configuration: configuration,
            logger: self.logging.logger("tikv-cli"),
            body
        )
    }
}
