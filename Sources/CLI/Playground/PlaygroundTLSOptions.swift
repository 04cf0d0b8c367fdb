// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKVEmbedded

/// How the playground serves TLS; without any of these options it serves plaintext.
struct PlaygroundTLSOptions: ParsableArguments {
    @Option(name: .long, help: "Serve TLS with the certificate in this PEM file; with --tls-key.")
    var tlsCert: String?

    @Option(name: .long, help: "The PEM file of that certificate's private key.")
    var tlsKey: String?

    @Option(
        name: .long, help: "Refuse clients without a certificate of the authority in this PEM file; with --tls-cert.")
    var tlsClientCa: String?

    @Option(
        name: .long,
        help: """
            Serve TLS, client certificates required, with what is in this directory: ca.pem, server.pem, server-key.pem, \
            client.pem, client-key.pem. Where it has none of them, they are made.
            """
    )
    var tlsDir: String?

    func validate() throws {
        guard (self.tlsCert == nil) == (self.tlsKey == nil) else {
            throw ValidationError("--tls-cert and --tls-key go together")
        }
        guard self.tlsClientCa == nil || self.tlsCert != nil else {
            throw ValidationError("--tls-client-ca needs --tls-cert and --tls-key")
        }
        guard self.tlsDir == nil || self.tlsCert == nil else {
            throw ValidationError("--tls-dir stands in place of --tls-cert, --tls-key and --tls-client-ca")
        }
        let values = [
            ("--tls-cert", self.tlsCert), ("--tls-key", self.tlsKey), ("--tls-client-ca", self.tlsClientCa),
            ("--tls-dir", self.tlsDir),
        ]
        for (option, value) in values where value?.isEmpty == true {
            throw ValidationError("\(option) must not be empty")
        }
    }

    /// Nil for plaintext. Makes the certificates of --tls-dir where they are missing.
    ///
    /// - Parameter host: the address that the cluster listens on.
    func configuration(host: String) throws -> EmbeddedCluster.TLS? {
        if let directory = self.tlsDir {
            let files = CertificateDirectory(directory)
            try files.fill(host: host)
            return EmbeddedCluster.TLS(
                certificateChain: .file(files.path(.serverCertificate)), privateKey: .file(files.path(.serverKey)),
                clientCA: .file(files.path(.ca)))
        }
        guard let certificate = self.tlsCert, let key = self.tlsKey else { return nil }
        return EmbeddedCluster.TLS(
            certificateChain: .file(certificate), privateKey: .file(key), clientCA: self.tlsClientCa.map { .file($0) })
    }
}
