// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVEmbedded

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A directory with the certificates and keys that a playground serves with and its clients need.
struct CertificateDirectory {
    enum File: String, CaseIterable {
        case ca = "ca.pem"
        case serverCertificate = "server.pem"
        case serverKey = "server-key.pem"
        case clientCertificate = "client.pem"
        case clientKey = "client-key.pem"

        /// Keys are for their owner alone.
        var mode: mode_t {
            switch self {
            case .serverKey, .clientKey: 0o600
            case .ca, .serverCertificate, .clientCertificate: 0o644
            }
        }
    }

    private let directory: String

    init(_ directory: String) {
        self.directory = directory
    }

    func path(_ file: File) -> String { "\(self.directory)/\(file.rawValue)" }

    /// Makes what is in the directory, and the directory, where nothing of it is there yet. Some of it without the rest is
    /// an error: what was signed by another authority would be of no use, and nothing that is there is overwritten.
    func fill(host: String) throws {
        let missing = File.allCases.filter { access(self.path($0), F_OK) != 0 }
        guard missing.count == File.allCases.count else {
            guard let file = missing.first else { return }
            throw CommandFailure(
                "\(self.path(file)) is missing beside the others; remove those to have all of them made anew")
        }
        guard mkdir(self.directory, 0o755) == 0 || errno == EEXIST else {
            throw CommandFailure("cannot make the directory \(self.directory): \(describeErrno(errno))")
        }
        var hosts = ["localhost", "127.0.0.1", "::1"]
        if !hosts.contains(host) { hosts.append(host) }
        let certificates = try EmbeddedCluster.TLS.development(hosts: hosts)
        var made: [File] = []
        do {
            for file in File.allCases {
                try self.write(Self.content(of: file, certificates), to: file) { made.append(file) }
            }
        } catch {
            for file in made { unlink(self.path(file)) }
            throw error
        }
    }

    // MARK: - Private

    private static func content(of file: File, _ certificates: EmbeddedCluster.DevelopmentCertificates) -> [UInt8] {
        switch file {
        case .ca: certificates.ca
        case .serverCertificate: certificates.serverCertificate
        case .serverKey: certificates.serverKey
        case .clientCertificate: certificates.clientCertificate
        case .clientKey: certificates.clientKey
        }
    }

    /// Writes a new file, which has its mode from the beginning.
    ///
    /// - Parameter created: called once the file is there, whether or not it can be written to.
    private func write(_ bytes: [UInt8], to file: File, created: () -> Void) throws(CommandFailure) {
        let path = self.path(file)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file.mode)
        guard descriptor >= 0 else { throw CommandFailure("cannot write \(path): \(describeErrno(errno))") }
        created()
        let error = Self.writeAll(bytes, to: descriptor)
        close(descriptor)
        if let error { throw CommandFailure("cannot write \(path): \(describeErrno(error))") }
    }

    /// Returns the error number where not all could be written.
    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Int32? {
        var written = 0
        while written < bytes.count {
            let (count, error) = bytes[written...].withUnsafeBytes { buffer in
                (systemWrite(descriptor, buffer.baseAddress, buffer.count), errno)
            }
            if count >= 0 {
                written += count
            } else if error != EINTR {
                return error
            }
        }
        return nil
    }
}
