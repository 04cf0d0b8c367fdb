// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct RawChecksumCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checksum",
        abstract: "Print a checksum over the keys and values of a range.",
        discussion: """
            One line: `crc64xor=HEX pairs=N bytes=N`. The stores make it, and keys and values don't travel. The same keys and \
            values give the same line, however the cluster is cut into regions.
            """
    )

    @OptionGroup var range: RangeOptions
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let range = try self.range.keyRange(self.notation)
        let checksum = try await self.connection.withRawClient { client in
            try await client.checksum(range)
        }
        let digits = String(checksum.crc64Xor, radix: 16)
        let padded = String(repeating: "0", count: 16 - digits.count) + digits
        try StandardStream.output.write(
            "crc64xor=\(padded) pairs=\(checksum.pairCount) bytes=\(checksum.byteCount)\n")
    }
}
