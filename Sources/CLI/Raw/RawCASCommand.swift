// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct RawCASCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cas",
        abstract: "Set or remove the value of a key if it has the one expected.",
        discussion: """
            Exit code 1, and what is there, when the key has another value. All who write such keys must do it so, or with \
            `put --atomic`. When the answer is lost, nothing is tried again, and exit code 2 says that it may have happened.
            """
    )

    @Argument(help: "The key.") var key: String
    @Argument(help: "The new value; without one the key is removed.") var value: String?
    @Option(name: .long, help: "The value that the key must have.") var expect: String?
    @Flag(name: .long, help: "The key must have no value.") var expectAbsent = false
    @OptionGroup var timeToLive: TimeToLiveOption
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard (self.expect != nil) != self.expectAbsent else {
            throw ValidationError("give either --expect or --expect-absent")
        }
        guard self.value != nil || self.expect != nil else {
            throw ValidationError("a key that is expected to be absent cannot be removed")
        }
        guard self.value != nil || self.timeToLive.ttl == nil else {
            throw ValidationError("--ttl needs a new value")
        }
    }

    func run() async throws {
        let key = try self.notation.key(self.key, "the key")
        let expected = try self.expect.map { Value(try self.notation.bytes($0, "--expect")) }
        let value = try self.value.map { Value(try self.notation.bytes($0, "the value")) }
        let ttl = self.timeToLive.ttl
        let swap = try await self.connection.withRawClient(isAtomic: true) { client in
            if let value { return try await client.compareAndSwap(key, expected: expected, value: value, ttl: ttl) }
            return try await client.compareAndDelete(key, expected: expected ?? Value())
        }
        guard !swap.isSwapped else { return }
        let name = self.notation.notation.describe(key.bytes)
        throw CommandFailure.absent(
            swap.previous.map { "\(name) has the value \(self.notation.notation.describe($0.bytes))" }
                ?? "\(name) has no value")
    }
}
