// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Logging
import TiKV

/// Which cluster, and how long to wait for it.
struct ConnectionOptions: ParsableArguments {
    @Option(name: .long, help: "PD's client addresses, host:port; several by commas or by repeating the option.")
    var pd: [String] = ["127.0.0.1:2379"]

    @Option(
        name: .long, help: "Seconds that one operation may take, retries included; 10 by default.",
        transform: parseSeconds)
    var timeout: Duration = .seconds(10)

    @OptionGroup var version: APIVersionOption
    @Option(name: .long, help: "The keyspace, with --api-version v2; DEFAULT by default.")
    var keyspace: String?

    @OptionGroup var tls: TLSOptions
    @OptionGroup var logging: LoggingOptions

    var endpoints: [String] {
        self.pd.flatMap { $0.split(separator: ",", omittingEmptySubsequences: true).map(String.init) }
    }

    func validate() throws {
        guard !self.endpoints.isEmpty else {
            throw ValidationError("--pd names no address")
        }
        guard self.timeout > .zero else {
            throw ValidationError("--timeout must be more than 0 seconds")
        }
        guard self.keyspace == nil || self.version.apiVersion == .v2 else {
            throw ValidationError("--keyspace needs --api-version v2")
        }
    }
}

/// How a cluster keeps keys and values.
struct APIVersionOption: ParsableArguments {
    @Option(
        name: .long,
        help: "The cluster's API version: v1, v1ttl or v2; v1 by default.",
        transform: { text in
            guard let version = APIVersion(text) else {
                throw ValidationError("'\(text)' is no API version; there are v1, v1ttl and v2")
            }
            return version
        }
    )
    var apiVersion: APIVersion = .v1
}

/// What goes to standard error beside the outcome.
struct LoggingOptions: ParsableArguments {
    @Option(
        name: .long,
        help: "trace, debug, info, notice, warning, error or critical; error by default.",
        transform: { text in
            guard let level = Logger.Level(rawValue: text) else {
                throw ValidationError("'\(text)' is no log level")
            }
            return level
        }
    )
    var logLevel: Logger.Level = .error

    func logger(_ label: String) -> Logger {
        var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = self.logLevel
        return logger
    }
}

/// Reads a number of seconds, `0.5` for one.
@Sendable
func parseSeconds(_ text: String) throws -> Duration {
    guard let value = Double(text), value.isFinite, value >= 0, value < 1e9 else {
        throw ValidationError("'\(text)' is no number of seconds")
    }
    return .seconds(value)
}
