// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

/// The keys from one up to, but not including, another; or all that begin alike.
struct RangeOptions: ParsableArguments {
    @Option(name: .long, help: "The first key of the range; without it, the range begins with the first key there is.")
    var from: String?

    @Option(name: .long, help: "The key that ends the range, itself outside; without it, the range has no end.")
    var to: String?

    @Option(name: .long, help: "All keys that begin like this, in place of --from and --to.")
    var prefix: String?

    var isUnbounded: Bool { self.from == nil && self.to == nil && self.prefix == nil }

    func validate() throws {
        guard self.prefix == nil || (self.from == nil && self.to == nil) else {
            throw ValidationError("--prefix stands in place of --from and --to")
        }
    }

    func keyRange(_ notation: NotationOptions) throws -> KeyRange {
        if let prefix = self.prefix {
            return .prefix(try notation.key(prefix, "--prefix"))
        }
        return KeyRange(
            start: try self.from.map { try notation.key($0, "--from") } ?? Key(),
            end: try self.to.map { try notation.key($0, "--to") } ?? Key()
        )
    }
}
