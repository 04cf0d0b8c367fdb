// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The entry point. It stands in for ArgumentParser's own `main()`, which answers wrong arguments with several lines.
@main
struct Main {
    static func main() async {
        ignoreBrokenPipes()
        do {
            var command = try TikvCLI.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            exitProcess(Self.report(error))
        }
    }

    /// Writes what there is to say about `error`, and returns the exit code.
    private static func report(_ error: any Error) -> Int32 {
        if let failure = error as? CommandFailure {
            if let message = failure.message {
                Self.complain(message)
            }
            return failure.exitCode
        }
        if error is CleanExit || error is ExitCode || TikvCLI.exitCode(for: error) != .failure {
            return Self.reportParserResult(error)
        }
        Self.complain(String(describing: error))
        return CommandFailure.failed
    }

    /// Help and wrong arguments arrive as errors, of types that ArgumentParser keeps to itself.
    private static func reportParserResult(_ error: any Error) -> Int32 {
        let code = TikvCLI.exitCode(for: error)
        guard code == .success else {
            Self.complain(TikvCLI.message(for: error) + " (--help shows the usage)")
            return code.rawValue
        }
        do {
            try StandardStream.output.write(TikvCLI.fullMessage(for: error) + "\n")
            return 0
        } catch {
            return Self.report(error)
        }
    }

    /// One line, whatever the message holds. Where even standard error is gone, only the exit code is left to tell.
    private static func complain(_ message: String) {
        let line = message.split(whereSeparator: \.isNewline).joined(separator: "; ")
        try? StandardStream.error.write("tikv-cli: \(line)\n")
    }
}
