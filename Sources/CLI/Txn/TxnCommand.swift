// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct TxnCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "txn",
        abstract: "Read and write transactional keys.",
        discussion: """
            What one command writes takes effect together or not at all; after a conflict with others it is tried again. A \
            cluster holds either transactional data or raw keys. Keys and values are text with escapes, unless --hex or \
            --raw says otherwise.
            """,
        subcommands: [TxnGetCommand.self, TxnPutCommand.self, TxnDeleteCommand.self, TxnScanCommand.self]
    )
}

/// Which moment is read.
struct MomentOptions: ParsableArguments {
    @Option(name: .long, help: "Read the state as of this timestamp, such as `tso` or `txn put --timestamp` print it.")
    var at: UInt64?

    @Option(
        name: .long, help: "Read the state of so many seconds ago.", transform: parseSeconds)
    var ago: Duration?

    func validate() throws {
        guard self.at == nil || self.ago == nil else {
            throw ValidationError("--at and --ago exclude each other")
        }
        guard self.at ?? 1 > 0 else {
            throw ValidationError("--at must be more than 0")
        }
    }
}
