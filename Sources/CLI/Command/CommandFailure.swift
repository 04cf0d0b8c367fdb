// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Why a command ends with an exit code other than 0.
struct CommandFailure: Error {
    /// What standard error gets, as one line; nil when there is nobody left to tell.
    let message: String?
    let exitCode: Int32

    /// The exit code of a command that could not do its work.
    static let failed: Int32 = 2

    init(_ message: String, exitCode: Int32 = Self.failed) {
        self.message = message
        self.exitCode = exitCode
    }

    private init(silentlyWith exitCode: Int32) {
        self.message = nil
        self.exitCode = exitCode
    }

    /// The reader of our output went away, as `head` does when it has enough. 128 + SIGPIPE is what a shell reports for a
    /// command that the signal ended.
    static let outputClosed = CommandFailure(silentlyWith: 141)

    /// The answer is no, as `grep` has it: nothing was found.
    static func absent(_ message: String) -> CommandFailure {
        CommandFailure(message, exitCode: 1)
    }
}
