// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a client or a server needs to speak TLS, and what it demands of its peers.
///
/// TLS 1.2 is the oldest version that is ever spoken.
package struct TLSConfiguration: Sendable, Equatable {
    /// Certificates or a key in PEM form.
    package enum PEM: Sendable, Hashable {
        /// Read when the configuration is first used, and again for a new connection where the file has changed since.
        case file(String)
        case bytes([UInt8])
    }

    /// Whose signature makes a certificate acceptable.
    package enum TrustRoots: Sendable, Equatable {
        /// What OpenSSL was installed with: usually the certificate authorities of the operating system.
        case systemDefault
        /// These certificates and no others. Each is a root of trust, intermediate ones too.
        case pem(PEM)
    }

    /// The certificate that this side shows.
    package struct Identity: Sendable, Equatable {
        /// The certificate itself first, then those between it and the root.
        package var certificateChain: PEM
        /// Not encrypted.
        package var privateKey: PEM

        package init(certificateChain: PEM, privateKey: PEM) {
            self.certificateChain = certificateChain
            self.privateKey = privateKey
        }
    }

    /// What a client checks of a server's certificate. A server that requires certificates always checks their chain;
    /// clients have no host name to check.
    package enum Verification: Sendable, Hashable {
        /// The chain up to a trust root, validity in time, and that the certificate is for the host connected to.
        case full
        /// Everything but the host name: **whoever holds any certificate of a trusted authority can pose as the
        /// server.** For clusters whose certificates carry no usable names; better is `serverName`.
        case withoutHostName
        /// Nothing: **the connection is encrypted, but anyone on the way can pose as the server, read everything and
        /// change it.** For experiments alone.
        case none
    }

    package enum Version: Sendable, Equatable, CaseIterable {
        case tls12
        case tls13
    }

    package var trustRoots: TrustRoots
    /// Required of a server; of a client where the server asks for it.
    package var identity: Identity?
    package var verification: Verification
    /// The name that the server's certificate must carry, and that the server is asked for, in place of the host
    /// connected to (client role).
    package var serverName: String?
    /// Where not empty, the peer's certificate must have one of these as its common name (client-go's
    /// `cluster-verify-cn`, TiKV's `cert-allowed-cn`). In addition to everything else that is checked.
    package var allowedNames: Set<String>
    package var minimumVersion: Version
    /// Nil: the newest that OpenSSL has. For peers that stumble over it.
    package var maximumVersion: Version?
    /// What is to be spoken inside TLS, by its name in ALPN. A peer that does not agree on it is refused.
    package var applicationProtocol: String
    /// What else may be spoken where the peer doesn't offer that; default nothing.
    package var otherProtocols: [String] = []
    /// Whether clients must show a certificate that a trust root stands behind (server role).
    package var requireClientCertificate: Bool
    /// Time that a client has for the handshake (server role; a client's own limit is its connect timeout).
    package var handshakeTimeout: Duration

    package init(
        trustRoots: TrustRoots = .systemDefault,
        identity: Identity? = nil,
        verification: Verification = .full,
        serverName: String? = nil,
        allowedNames: Set<String> = [],
        minimumVersion: Version = .tls12,
        maximumVersion: Version? = nil,
        applicationProtocol: String = "h2",
        requireClientCertificate: Bool = false,
        handshakeTimeout: Duration = .seconds(10)
    ) {
        self.trustRoots = trustRoots
        self.identity = identity
        self.verification = verification
        self.serverName = serverName
        self.allowedNames = allowedNames
        self.minimumVersion = minimumVersion
        self.maximumVersion = maximumVersion
        self.applicationProtocol = applicationProtocol
        self.requireClientCertificate = requireClientCertificate
        self.handshakeTimeout = handshakeTimeout
    }

    /// All that may be spoken, in the order in which it is wanted.
    var protocols: [String] { [self.applicationProtocol] + self.otherProtocols }

    /// The form in which TiKV's tools are given certificates: paths of PEM files, empty where there is none (client-go's
    /// `cluster-ssl-ca`, `cluster-ssl-cert`, `cluster-ssl-key`). Without a CA the system's trust roots count.
    ///
    /// - Throws: `configuration` where one of certificate and key is there without the other.
    package init(
        caPath: String, certificatePath: String = "", keyPath: String = "", allowedNames: Set<String> = []
    ) throws(TLSError) {
        guard certificatePath.isEmpty == keyPath.isEmpty else {
            throw TLSError(.configuration, "a certificate and its private key must be given together")
        }
        self.init(
            trustRoots: caPath.isEmpty ? .systemDefault : .pem(.file(caPath)),
            identity: certificatePath.isEmpty
                ? nil : Identity(certificateChain: .file(certificatePath), privateKey: .file(keyPath)),
            allowedNames: allowedNames)
    }
}

extension TLSConfiguration.PEM: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Where it is from; never the bytes, which may be a private key.
    package var description: String {
        switch self {
        case .file(let path): path
        case .bytes(let bytes): "\(bytes.count) bytes of PEM"
        }
    }

    package var debugDescription: String { self.description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
