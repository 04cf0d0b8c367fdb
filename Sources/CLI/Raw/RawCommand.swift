// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct RawCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "raw",
        abstract: "Read and write raw keys.",
        discussion: """
            Raw keys have no versions and no transactions; a cluster holds either these or transactional data. Keys and \
            values are text with escapes, unless --hex or --raw says otherwise.
            """,
        subcommands: [
            RawGetCommand.self, RawPutCommand.self, RawDeleteCommand.self, RawScanCommand.self, RawImportCommand.self,
            RawDeleteRangeCommand.self, RawTTLCommand.self, RawCASCommand.self, RawChecksumCommand.self,
        ]
    )
}
