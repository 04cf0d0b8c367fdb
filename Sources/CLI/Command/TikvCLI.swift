// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The root command. `Main` runs it, so that every failure ends in one line and an exit code.
struct TikvCLI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tikv-cli",
        abstract: "Work with a TiKV cluster, or start an embedded one to try things with.",
        discussion: """
            Exit codes: 0 done; 1 what was asked for is not there, or the demo met an error; 2 the command failed; 64 wrong \
            arguments; 141 the reader of the output went away.
            """,
        subcommands: [
            PlaygroundCommand.self, RawCommand.self, TxnCommand.self, TSOCommand.self, RegionCommand.self,
            StoreCommand.self, DemoCommand.self, BenchCommand.self,
        ]
    )
}
