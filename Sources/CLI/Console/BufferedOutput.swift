// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Gathers what goes to standard output, so that a scan does not write each line on its own. Nothing is written when it
/// goes away without `flush()`: then the command has failed.
struct BufferedOutput: ~Copyable {
    private static let limit = 64 * 1024
    private var bytes: [UInt8] = []

    mutating func append(_ more: some Sequence<UInt8>) throws(CommandFailure) {
        self.bytes.append(contentsOf: more)
        if self.bytes.count >= Self.limit {
            try self.flush()
        }
    }

    mutating func flush() throws(CommandFailure) {
        try StandardStream.output.write(self.bytes)
        self.bytes.removeAll(keepingCapacity: true)
    }
}
