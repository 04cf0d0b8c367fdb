// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import Logging
package import TiKVPD
import TiKVTransport

/// PD by itself, for tools: a client that asks PD and needs no store.
package enum PDAccess {
    /// Runs a client for as long as `body` takes, and closes it.
    ///
    /// - Throws: ``TiKVError`` for an address that is none, a TLS configuration that cannot work, and in place of what PD's
    ///   client throws; and whatever else `body` throws.
    package static func withClient<Result>(
        pd: [String], configuration: ClientConfiguration = .init(), logger: Logger,
        _ body: (PDClient) async throws -> sending Result
    ) async throws -> sending Result {
        var endpoints: [PeerAddress] = []
        for text in pd {
            guard let address = PeerAddress(text, defaultPort: 2379) else {
                throw TiKVError(.invalidArgument, "\"\(text)\" is not an address of the form host:port")
            }
            endpoints.append(address)
        }
        let core = try ClientCore(.raw, pd: endpoints, configuration: configuration, logger: logger)
        // Cancelled and waited for when this scope is left, by whichever way.
        async let _ = core.run()
        do {
            return try await body(core.pd)
        } catch let error as PDError {
            throw TiKVError(error)
        }
    }
}
