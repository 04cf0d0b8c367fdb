// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKVPD

struct TSOCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tso",
        abstract: "Take timestamps from PD, or read one.",
        discussion: """
            A line each: the timestamp, the milliseconds since the beginning of 1970 that it holds, and the count within \
            the millisecond; separated by tabs.
            """
    )

    @Argument(help: "A timestamp to read, in place of taking one.") var timestamp: UInt64?
    @Option(name: .long, help: "How many to take, one after the other.") var count = 1
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard self.count > 0 else { throw ValidationError("--count must be more than 0") }
    }

    func run() async throws {
        if let timestamp = self.timestamp {
            return try StandardStream.output.write(Self.line(TiKVPD.Timestamp(rawValue: timestamp)))
        }
        try await self.connection.withPDClient { client in
            var output = BufferedOutput()
            for _ in 0..<self.count {
                try output.append(Self.line(try await client.timestamp(deadline: self.connection.deadline)).utf8)
            }
            try output.flush()
        }
    }

    private static func line(_ timestamp: TiKVPD.Timestamp) -> String {
        "\(timestamp)\t\(timestamp.physical)\t\(timestamp.logical)\n"
    }
}
