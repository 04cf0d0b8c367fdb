// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

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

    func bounds(_ notation: NotationOptions) throws -> KeyBounds {
        if let prefix = self.prefix {
            return KeyBounds(prefix: try notation.bytes(prefix, "--prefix"))
        }
        return KeyBounds(
            start: try self.from.map { try notation.bytes($0, "--from") } ?? [],
            end: try self.to.map { try notation.bytes($0, "--to") }
        )
    }
}

/// A range of keys; one without an end goes on to the last key.
struct KeyBounds: Equatable {
    var start: [UInt8]
    var end: [UInt8]?

    init(start: [UInt8], end: [UInt8]?) {
        self.start = start
        self.end = end
    }

    init(prefix: [UInt8]) {
        self.start = prefix
        // The first key after all that begin so: the last byte that can grow grows, those behind it go.
        self.end = prefix.lastIndex { $0 < 0xFF }.map { index in
            Array(prefix[..<index]) + [prefix[index] + 1]
        }
    }
}
