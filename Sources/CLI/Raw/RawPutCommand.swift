// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct RawPutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Set the value of a key.",
        discussion: "With --if-absent, exit code 1 and the value that is there when the key has one already."
    )

    @Argument(help: "The key.") var key: String
    @Argument(help: "The value; it may be empty.") var value: String
    @OptionGroup var timeToLive: TimeToLiveOption
    @Flag(name: .long, help: "Only if the key has no value; all who write it must use --if-absent, --atomic or cas.")
    var ifAbsent = false
    @Flag(name: .long, help: "Safely against those who compare and swap at the same time.") var atomic = false
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let key = try self.notation.key(self.key, "the key")
        let value = Value(try self.notation.bytes(self.value, "the value"))
        let present = try await self.connection.withRawClient(isAtomic: self.atomic || self.ifAbsent) { client in
            guard self.ifAbsent else {
                try await client.put(key, value: value, ttl: self.timeToLive.ttl)
                return nil as Value?
            }
            return try await client.putIfAbsent(key, value: value, ttl: self.timeToLive.ttl)
        }
        if let present {
            throw CommandFailure.absent(
                "\(self.notation.notation.describe(key.bytes)) has the value "
                    + self.notation.notation.describe(present.bytes))
        }
    }
}

/// How long a value lives.
struct TimeToLiveOption: ParsableArguments {
    @Option(
        name: .long, help: "Seconds until the value is gone (needs --api-version v1ttl or v2); never by default.",
        transform: parseSeconds)
    var ttl: Duration?

    func validate() throws {
        guard self.ttl.map({ $0 > .zero }) ?? true else {
            throw ValidationError("--ttl must be more than 0 seconds")
        }
    }
}
