// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

/// How a command speaks TLS to a cluster; without any of these options it speaks plaintext.
struct TLSOptions: ParsableArguments {
    @Flag(name: .long, help: "Speak TLS, trusting the system's certificate authorities unless --tls-ca names others.")
    var tls = false

    @Option(name: .long, help: "A PEM file of the certificates to trust. This and each option below implies --tls.")
    var tlsCa: String?

    @Option(name: .long, help: "A PEM file of the client's certificate, for clusters that want one; with --tls-key.")
    var tlsCert: String?

    @Option(name: .long, help: "The PEM file of that certificate's private key.")
    var tlsKey: String?

    @Option(name: .long, help: "The name that servers' certificates must carry, in place of the host connected to.")
    var tlsServerName: String?

    func validate() throws {
        guard (self.tlsCert == nil) == (self.tlsKey == nil) else {
            throw ValidationError("--tls-cert and --tls-key go together")
        }
        let values = [
            ("--tls-ca", self.tlsCa), ("--tls-cert", self.tlsCert), ("--tls-key", self.tlsKey),
            ("--tls-server-name", self.tlsServerName),
        ]
        for (option, value) in values where value?.isEmpty == true {
            throw ValidationError("\(option) must not be empty")
        }
    }

    /// Nil for plaintext.
    var configuration: ClientConfiguration.TLS? {
        guard self.tls || self.tlsCa != nil || self.tlsCert != nil || self.tlsServerName != nil else { return nil }
        var configuration = ClientConfiguration.TLS(
            trustRoots: self.tlsCa.map { .file($0) }, serverName: self.tlsServerName)
        if let certificate = self.tlsCert, let key = self.tlsKey {
            configuration.identity = .init(certificateChain: .file(certificate), privateKey: .file(key))
        }
        return configuration
    }
}
