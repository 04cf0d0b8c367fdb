// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import TiKVTransport

extension EmbeddedCluster {
    /// The certificate that PD and all stores show, and what they want of their clients.
    ///
    /// Files are read when the cluster starts, and again for a new connection where one has changed since. Where what is
    /// read then is of no use, the servers go on with what they had.
    public struct TLS: Sendable, Hashable {
        /// The servers' certificate first, then those between it and the root. It should name the host that the cluster
        /// listens on (``Configuration/host``), since that is what clients look for.
        public var certificateChain: PEM
        /// The certificate's private key, not encrypted.
        public var privateKey: PEM
        /// Who signs clients' certificates. Clients that show none of this authority's are refused. Nil, the default, asks
        /// clients for no certificate.
        public var clientCA: PEM?

        /// TLS with certificates of your own; see ``development(hosts:)`` for some that need no files.
        public init(certificateChain: PEM, privateKey: PEM, clientCA: PEM? = nil) {
            self.certificateChain = certificateChain
            self.privateKey = privateKey
            self.clientCA = clientCA
        }

        /// Makes a certificate authority that nobody else has, and certificates of it for the servers and for a client.
        /// They are valid for a year; the authority's own key is thrown away.
        ///
        /// ```swift
        /// let certificates = try EmbeddedCluster.TLS.development()
        /// try await EmbeddedCluster.withCluster(.init(tls: certificates.serverTLS())) { cluster in
        ///     var configuration = ClientConfiguration()
        ///     configuration.connection.tls = .init(trustRoots: .bytes(certificates.ca))
        ///     // connect to cluster.pdEndpoints
        /// }
        /// ```
        ///
        /// - Parameter hosts: the host names and IP addresses that the servers are to be known by.
        /// - Throws: ``EmbeddedClusterError/Code/invalidTLS`` where a host is none.
        public static func development(
            hosts: [String] = ["localhost", "127.0.0.1", "::1"]
        ) throws(EmbeddedClusterError) -> DevelopmentCertificates {
            try DevelopmentCertificates(hosts: hosts)
        }
    }

    /// A certificate authority and what it signed, all in PEM form; made by ``TLS/development(hosts:)``.
    public struct DevelopmentCertificates: Sendable {
        /// The authority's certificate: what clients and servers are to trust.
        public let ca: [UInt8]
        /// The servers' certificate.
        public let serverCertificate: [UInt8]
        /// The private key of ``serverCertificate``.
        public let serverKey: [UInt8]
        /// A client's certificate; its common name is `client`.
        public let clientCertificate: [UInt8]
        /// The private key of ``clientCertificate``.
        public let clientKey: [UInt8]

        init(hosts: [String]) throws(EmbeddedClusterError) {
            do throws(TLSError) {
                let authority = try CertificateAuthority()
                let server = try authority.issue(CertificateAuthority.Request("tikv", names: hosts))
                let client = try authority.issue(CertificateAuthority.Request("client"))
                self.ca = try authority.pem
                self.serverCertificate = server.chain
                self.serverKey = server.key
                self.clientCertificate = client.chain
                self.clientKey = client.key
            } catch {
                throw EmbeddedClusterError(error)
            }
        }

        /// For ``Configuration/tls``.
        ///
        /// - Parameter requiresClientCertificate: whether clients must show a certificate of this authority, such as
        ///   ``clientCertificate``. Default false.
        public func serverTLS(requiresClientCertificate: Bool = false) -> TLS {
            TLS(
                certificateChain: .bytes(self.serverCertificate), privateKey: .bytes(self.serverKey),
                clientCA: requiresClientCertificate ? .bytes(self.ca) : nil)
        }
    }
}

extension EmbeddedCluster.TLS {
    /// Certificates or a private key in PEM form.
    public struct PEM: Sendable, Hashable {
        let wrapped: TLSConfiguration.PEM

        /// A file, read again where it has changed.
        public static func file(_ path: String) -> PEM { PEM(wrapped: .file(path)) }

        /// The PEM text itself.
        public static func bytes(_ bytes: [UInt8]) -> PEM { PEM(wrapped: .bytes(bytes)) }
    }
}

extension EmbeddedCluster.TLS.PEM: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The path, or how many bytes there are; never the bytes, which may be a private key.
    public var description: String { self.wrapped.description }
    /// The same as ``description``.
    public var debugDescription: String { self.description }
    /// Shows nothing, for the same reason.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

// MARK: - For the transport

extension EmbeddedCluster.TLS {
    /// The one source of certificates for all servers of a cluster.
    func contextSource(logger: Logger) throws(EmbeddedClusterError) -> TLSContextSource {
        var configuration = TLSConfiguration(
            trustRoots: self.clientCA.map { .pem($0.wrapped) } ?? .systemDefault,
            identity: TLSConfiguration.Identity(
                certificateChain: self.certificateChain.wrapped, privateKey: self.privateKey.wrapped),
            requireClientCertificate: self.clientCA != nil)
        // PD answers both on one port.
        configuration.otherProtocols = ["http/1.1"]
        do throws(TLSError) {
            return try TLSContextSource(configuration, .server, logger: logger)
        } catch {
            throw EmbeddedClusterError(error)
        }
    }
}

extension EmbeddedClusterError {
    init(_ error: TLSError) {
        self.init(.invalidTLS, "\(error)")
    }
}
