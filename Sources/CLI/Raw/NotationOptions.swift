// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

/// The flags that choose a ``ByteNotation``.
struct NotationOptions: ParsableArguments {
    @Flag(name: .long, help: "Keys and values are hexadecimal digits, in arguments and in output.")
    var hex = false

    @Flag(name: .long, help: "Keys and values are bytes as they are, without escapes.")
    var raw = false

    var notation: ByteNotation {
        self.hex ? .hex : self.raw ? .raw : .text
    }

    func validate() throws {
        guard !(self.hex && self.raw) else {
            throw ValidationError("--hex and --raw exclude each other")
        }
    }

    func key(_ argument: String, _ name: String) throws -> Key {
        Key(try self.bytes(argument, name))
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
