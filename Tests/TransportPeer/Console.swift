// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Dispatch
import FoundationEssentials

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Lines of JSON, in and out.
enum Console {
    /// Standard input, line by line, until its end.
    static var lines: AsyncStream<String> {
        AsyncStream { continuation in
            // Reading blocks, so it has a thread of its own.
            DispatchQueue(label: "stdin").async {
                while let line = readLine() { continuation.yield(line) }
                continuation.finish()
            }
        }
    }

    static func write(_ value: some Encodable) {
        guard let line = try? JSONEncoder().encode(value) else { return }
        let bytes = Array(line) + [10]
        // One write for a line, so that lines of several tasks do not mix.
        _ = bytes.withUnsafeBytes { systemWrite(1, $0.baseAddress, $0.count) }
    }
}

private func systemWrite(_ file: CInt, _ start: UnsafeRawPointer?, _ count: Int) -> Int {
    write(file, start, count)
}
