// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Standard output and standard error, written without a buffer: when `write` returns, the system has the bytes.
enum StandardStream: Int32 {
    case output = 1
    case error = 2

    var isTerminal: Bool { isatty(self.rawValue) == 1 }

    func write(_ text: String) throws(CommandFailure) {
        try self.write(Array(text.utf8))
    }

    /// Throws ``CommandFailure/outputClosed`` when nobody reads any more, and a failure that names the cause when the disk
    /// is full, say.
    func write(_ bytes: [UInt8]) throws(CommandFailure) {
        var written = 0
        while written < bytes.count {
            let (count, error) = bytes[written...].withUnsafeBytes { buffer in
                let count = systemWrite(self.rawValue, buffer.baseAddress, buffer.count)
                return (count, errno)
            }
            if count >= 0 {
                written += count
            } else if error == EPIPE {
                throw .outputClosed
            } else if error != EINTR {
                throw CommandFailure("cannot write to \(self.name): \(describeErrno(error))")
            }
        }
    }

    private var name: String {
        switch self {
        case .output: "standard output"
        case .error: "standard error"
        }
    }
}

// A method named `write` hides the C function of that name.
func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}

func describeErrno(_ error: Int32) -> String {
    String(cString: strerror(error))
}

/// A write to a pipe that nobody reads then fails with EPIPE, where it would end the process.
func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
}

func exitProcess(_ code: Int32) -> Never {
    exit(code)
}
