// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TiKV
import TiKVEmbedded

/// A directory for PEM files, gone when the test is over.
struct TLSFiles {
    private let directory: URL

    static func with<Result>(_ body: (TLSFiles) async throws -> Result) async throws -> Result {
        let files = TLSFiles(directory: FileManager.default.temporaryDirectory.appending(path: UUID().uuidString))
        try FileManager.default.createDirectory(at: files.directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: files.directory) }
        return try await body(files)
    }

    func path(_ name: String) -> String { self.directory.appending(path: name).path(percentEncoded: false) }

    func write(_ bytes: [UInt8], _ name: String) throws {
        // Atomically: a new file takes the old one's place, as tools that renew certificates do it.
        try Data(bytes).write(to: self.directory.appending(path: name), options: .atomic)
    }
}

extension EmbeddedCluster.DevelopmentCertificates {
    /// A client that trusts this authority.
    var clientTLS: ClientConfiguration.TLS { .init(trustRoots: .bytes(self.ca)) }

    var clientIdentity: ClientConfiguration.TLS.Identity {
        .init(certificateChain: .bytes(self.clientCertificate), privateKey: .bytes(self.clientKey))
    }

    /// A client that trusts this authority and shows a certificate of it.
    var mutualTLS: ClientConfiguration.TLS { .init(trustRoots: .bytes(self.ca), identity: self.clientIdentity) }
}

extension ClientConfiguration {
    init(tls: TLS?) {
        self.init(connection: Connection(tls: tls))
    }
}
