// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Reads the small files that hold certificates and keys, and tells when they have changed.
@safe enum TLSFile {
    /// What changes when a file is written to or replaced. Both times, since a copy may keep the first.
    struct Stamp: Equatable, Sendable {
        var inode: UInt64
        var size: Int64
        var modified: Int64
        var changed: Int64
    }

    /// No file of certificates comes near this; a path that names something else does.
    private static let sizeLimit = 16 << 20

    /// Nil where there is no such file, or none that may be looked at. Follows symbolic links: a link that is turned to
    /// another file is a change.
    static func stamp(_ path: String) -> Stamp? {
        var info = stat()
        guard unsafe stat(path, &info) == 0 else { return nil }
        #if canImport(Darwin)
        let (modified, changed) = (info.st_mtimespec, info.st_ctimespec)
        #else
        let (modified, changed) = (info.st_mtim, info.st_ctim)
        #endif
        return Stamp(
            inode: UInt64(info.st_ino), size: Int64(info.st_size), modified: Self.nanoseconds(modified),
            changed: Self.nanoseconds(changed))
    }

    static func read(_ path: String) throws(TLSError) -> [UInt8] {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Self.error(path) }
        defer { close(file) }
        var bytes: [UInt8] = []
        while true {
            var count = 0
            let piece = unsafe [UInt8](unsafeUninitializedCapacity: 16 << 10) { buffer, filled in
                unsafe count = Self.readOnce(file, buffer)
                filled = max(count, 0)
            }
            guard count >= 0 else { throw Self.error(path) }
            if count == 0 { return bytes }
            bytes += piece
            guard bytes.count <= Self.sizeLimit else {
                throw TLSError(.configuration, "\(path) is too large for a file of certificates")
            }
        }
    }

    // MARK: - Private

    @unsafe private static func readOnce(_ file: Int32, _ buffer: UnsafeMutableBufferPointer<UInt8>) -> Int {
        while true {
            #if canImport(Darwin)
            let count = unsafe Darwin.read(file, buffer.baseAddress, buffer.count)
            #elseif canImport(Glibc)
            let count = unsafe Glibc.read(file, buffer.baseAddress, buffer.count)
            #elseif canImport(Musl)
            let count = unsafe Musl.read(file, buffer.baseAddress, buffer.count)
            #endif
            if count >= 0 || errno != EINTR { return count }
        }
    }

    private static func error(_ path: String) -> TLSError {
        TLSError(.configuration, "\(path) cannot be read: \(unsafe String(cString: strerror(errno)))")
    }

    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
