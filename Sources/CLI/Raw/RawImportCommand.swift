// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct RawImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Put the records of a file.",
        discussion: """
            The file holds a record on each line: the key, a separator (a tab unless --separator says otherwise), and the \
            value, which is all the rest of the line. Empty lines are passed over. Keys and values are text with escapes, \
            as `raw scan` prints them, unless --hex or --raw says otherwise; a file of plain text that knows no escapes \
            wants --raw. A line that is no record stops the import with the number of the line; what came before it stays.
            """
    )

    @Argument(help: "The file; - is standard input.") var file: String
    @Option(name: .long, help: "The character between key and value.", transform: parseSeparator)
    var separator = UInt8(ascii: "\t")
    @Option(name: .long, help: "What to put in front of every key.") var prefix = ""
    @Option(name: .long, help: "How many records go into one batch.") var batchSize = 256
    @Option(name: .long, help: "How many batches are under way at once.") var inFlight = 8
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard self.batchSize > 0, self.inFlight > 0 else {
            throw ValidationError("--batch-size and --in-flight must be more than 0")
        }
    }

    func run() async throws {
        let prefix = try self.notation.bytes(self.prefix, "--prefix")
        let importer = Importer(batchSize: self.batchSize, inFlight: self.inFlight)
        let outcome = try await self.connection.withRawClient { client in
            // The client connects with its first call, so a file that is not there shows before a cluster that is not.
            let records = try RecordReader(
                path: self.file, separator: self.separator, notation: self.notation.notation, prefix: prefix)
            return try await importer.run(records, into: client)
        }
        try StandardStream.output.write("imported \(outcome.summary)\n")
    }
}

@Sendable
private func parseSeparator(_ text: String) throws -> UInt8 {
    guard let character = text.utf8.first, text.utf8.count == 1, character != UInt8(ascii: "\n") else {
        throw ValidationError("--separator must be one ASCII character")
    }
    return character
}
