// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure how fast a cluster and this client are together.",
        subcommands: [BenchRawCommand.self, BenchRegionsCommand.self, BenchTSOCommand.self, BenchTxnCommand.self]
    )
}
