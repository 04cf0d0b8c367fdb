// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Reads a file line by line, in constant memory. It reads with plain system calls, which is for a command-line tool only:
/// a file on a dead network drive would hold up the thread.
struct LineReader: ~Copyable {
    private static let chunkSize = 256 * 1024
    private static let maximumLineLength = 16 * 1024 * 1024

    let path: String
    /// The size of the file; nil when it is a pipe, say.
    let size: Int?
    private(set) var lineNumber = 0
    private(set) var bytesRead = 0
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var position = 0
    private var isAtEnd = false

    /// `-` is standard input.
    init(path: String) throws(CommandFailure) {
        self.path = path
        self.descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        guard self.descriptor >= 0 else {
            throw CommandFailure("cannot read \(path): \(describeErrno(errno))")
        }
        var status = stat()
        let isRegular = fstat(self.descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        self.size = isRegular ? Int(status.st_size) : nil
    }

    deinit {
        if self.descriptor > 0 {
            close(self.descriptor)
        }
    }

    /// The next line, without its end; nil behind the last one.
    mutating func next() throws(CommandFailure) -> ArraySlice<UInt8>? {
        var searched = self.position
        while true {
            if let end = self.buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { self.position = end + 1 }
                self.lineNumber += 1
                return self.buffer[self.position..<end]
            }
            if self.isAtEnd {
                guard self.position < self.buffer.count else { return nil }
                defer { self.position = self.buffer.count }
                self.lineNumber += 1
                return self.buffer[self.position...]
            }
            guard self.buffer.count - self.position <= Self.maximumLineLength else {
                throw CommandFailure("\(self.path):\(self.lineNumber + 1): a line of more than 16 MiB")
            }
            self.buffer.removeSubrange(..<self.position)
            self.position = 0
            searched = self.buffer.count
            try self.fill()
        }
    }

    private mutating func fill() throws(CommandFailure) {
        while true {
            var chunk = [UInt8](repeating: 0, count: Self.chunkSize)
            let count = read(self.descriptor, &chunk, chunk.count)
            if count >= 0 {
                self.buffer.append(contentsOf: chunk.prefix(count))
                self.bytesRead += count
                self.isAtEnd = count == 0
                return
            }
            guard errno == EINTR else {
                throw CommandFailure("cannot read \(self.path): \(describeErrno(errno))")
            }
        }
    }
}
