// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The flags that choose a ``ByteNotation``.
struct NotationOptions: ParsableArguments {
    @Flag(name: .long, help: "Keys and values are hexadecimal digits, in arguments and in output.")
    var hex = false

    @Flag(name: .long, help: "Keys and values are bytes as they are; without it \\\\ \\t \\n \\r \\xHH stand for what does not print.")
    var raw = false

    var notation: ByteNotation {
        self.hex ? .hex : self.raw ? .raw : .text
    }

    func validate() throws {
        guard !(self.hex && self.raw) else {
            throw ValidationError("--hex and --raw exclude each other")
        }
    }

    /// Reads an argument; `name` says in the error which one was wrong.
    func bytes(_ argument: String, _ name: String) throws -> [UInt8] {
        do throws(ByteNotation.Malformed) {
            return try self.notation.read(argument.utf8)
        } catch {
            throw ValidationError("\(name) \(error.reason)")
        }
    }
}
