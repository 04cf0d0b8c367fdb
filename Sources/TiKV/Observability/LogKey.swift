// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging

/// The names of what log lines carry beside their constant messages.
enum LogKey: String {
    case address = "tikv.address"
    case attempt = "tikv.attempt"
    case backoff = "tikv.backoff"
    case call = "tikv.call"
    case completed = "tikv.completed"
    case failed = "tikv.failed"
    case delay = "tikv.delay"
    case error = "tikv.error"
    case liveness = "tikv.liveness"
    case reason = "tikv.reason"
    case region = "tikv.region"
    case store = "tikv.store"
    case target = "tikv.target"
}

extension Logger {
    /// Logs with keys from ``LogKey``; the metadata are made only where the level is on.
    func log(
        _ level: Logger.Level, _ message: @autoclosure () -> Logger.Message,
        _ fields: @autoclosure () -> [LogKey: any CustomStringConvertible & Sendable]
    ) {
        guard self.logLevel <= level else { return }
        var metadata: Logger.Metadata = [:]
        for (key, value) in fields() { metadata[key.rawValue] = .stringConvertible(value) }
        self.log(level: level, message(), metadata: metadata)
    }
}
