// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

extension ConnectionOptions {
    /// Connects, and closes the connections when `body` has returned.
    ///
    /// - Parameter transaction: settings of transactions.
    func withTransactionClient<Result>(
        _ transaction: ClientConfiguration.Transaction = .init(),
        _ body: (TransactionClient) async throws -> sending Result
    ) async throws -> Result {
        var configuration = ClientConfiguration()
        configuration.requestTimeout = self.timeout
        configuration.apiVersion = self.version.apiVersion
        configuration.keyspace = self.keyspace
        configuration.connection.tls = self.tls.configuration
        configuration.transaction = transaction
        configuration.transaction.commitTimeout = max(transaction.commitTimeout, self.timeout)
        return try await TransactionClient.withClient(
            pd: self.endpoints,
            configuration: configuration,
            logger: self.logging.logger("tikv-cli"),
            body
        )
    }
}
