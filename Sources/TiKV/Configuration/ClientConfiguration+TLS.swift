// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import TiKVTransport

extension ClientConfiguration {
    /// TLS for the connections to PD and to stores: whom to trust, and what to show them.
    ///
    /// ```swift
    /// var configuration = ClientConfiguration()
    /// configuration.connection.tls = .init(trustRoots: .file("/etc/tikv/ca.pem"))
    /// ```
    ///
    /// TLS 1.2 is the oldest version spoken, and TLS 1.3 preferred; inside, servers must agree on HTTP/2 (`h2`, by ALPN).
    ///
    /// ## Files
    /// Files are read when the client is made, where a mistake in them is an error of its initializer, and again for a new
    /// connection where one has changed since: certificates can be renewed without a restart. Connections that are up stay
    /// as they are. Where what is read then is of no use, such as a file that is only half written, the client goes on with
    /// what it had and logs a warning.
    ///
    /// ## Errors
    /// A configuration that cannot work is ``TiKVError/Code/invalidArgument`` from the client's initializer: a file that
    /// cannot be read, PEM that is none, a private key that belongs to another certificate. A handshake that fails counts
    /// as a connection that failed: other members of PD, or other replicas, are tried. Where every member of PD fails for
    /// reasons that no further handshake would mend, such as a certificate that is not trusted, has expired or is for
    /// another host, the call throws ``TiKVError/Code/pdUnreachable`` at once; otherwise, and for stores with
    /// ``TiKVError/Code/storeUnreachable``, at its deadline. The message names the peer and what was wrong.
    public struct TLS: Sendable, Hashable {
        /// Whose signature makes a server's certificate acceptable. Nil, the default, is what OpenSSL was installed with:
        /// usually the certificate authorities of the operating system. Otherwise the certificates here and no others.
        public var trustRoots: PEM?

        /// The certificate shown to servers that ask for one. Nil, the default, is none; clusters that require client
        /// certificates then refuse every connection.
        public var identity: Identity?

        /// What is checked of a server's certificate; default ``Verification/full``.
        public var verification: Verification

        /// The name that every server's certificate must carry, and that servers are asked for (SNI), in place of the host
        /// connected to. Nil, the default, takes that host, which may be an IP address.
        public var serverName: String?

        /// Where not empty, a server's certificate must have one of these as its common name, beside all else that is
        /// checked; what TiKV calls `cert-allowed-cn`, and its Go client `cluster-verify-cn`. Default empty.
        public var allowedNames: Set<String>

        /// TLS; what is not named has its default.
        public init(
            trustRoots: PEM? = nil, identity: Identity? = nil, verification: Verification = .full,
            serverName: String? = nil, allowedNames: Set<String> = []
        ) {
            self.trustRoots = trustRoots
            self.identity = identity
            self.verification = verification
            self.serverName = serverName
            self.allowedNames = allowedNames
        }

        /// TLS in the form in which TiKV's own tools are given it (`security.ca-path`, `cert-path`, `key-path`): paths of
        /// PEM files, empty where there is none.
        ///
        /// - Parameters:
        ///   - caPath: the trusted certificates; empty trusts those of the operating system.
        ///   - certificatePath: the client's certificate, with those between it and the root behind it; empty is none.
        ///   - keyPath: the private key of that certificate.
        ///   - allowedNames: see ``allowedNames``.
        /// - Throws: ``TiKVError/Code/invalidArgument`` where one of certificate and key is there without the other. The
        ///   files are not read before a client is made.
        public init(
            caPath: String, certificatePath: String = "", keyPath: String = "", allowedNames: Set<String> = []
        ) throws(TiKVError) {
            guard certificatePath.isEmpty == keyPath.isEmpty else {
                throw TiKVError(.invalidArgument, "TLS: a certificate and its private key must be given together")
            }
            self.init(
                trustRoots: caPath.isEmpty ? nil : .file(caPath),
                identity: certificatePath.isEmpty
                    ? nil : Identity(certificateChain: .file(certificatePath), privateKey: .file(keyPath)),
                allowedNames: allowedNames)
        }
    }
}

extension ClientConfiguration.TLS {
    /// Certificates or a private key in PEM form.
    public struct PEM: Sendable, Hashable {
        let wrapped: TLSConfiguration.PEM

        /// A file, read again where it has changed.
        public static func file(_ path: String) -> PEM { PEM(wrapped: .file(path)) }

        /// The PEM text itself.
        public static func bytes(_ bytes: [UInt8]) -> PEM { PEM(wrapped: .bytes(bytes)) }
    }

    /// The certificate that a client shows, and the key that proves it to be the client's own.
    public struct Identity: Sendable, Hashable {
        /// The certificate itself first, then those between it and the root.
        public var certificateChain: PEM
        /// The certificate's private key, not encrypted.
        public var privateKey: PEM

        /// A certificate and its key.
        public init(certificateChain: PEM, privateKey: PEM) {
            self.certificateChain = certificateChain
            self.privateKey = privateKey
        }
    }

    /// What a client checks of a server's certificate.
    public struct Verification: Sendable, Hashable {
        let wrapped: TLSConfiguration.Verification

        /// The chain up to a trust root, its validity in time, and that the certificate is for the host connected to, or
        /// for ``ClientConfiguration/TLS/serverName``.
        public static let full = Verification(wrapped: .full)

        /// Everything but the host name. **Whoever has any certificate of a trusted authority can pose as PD or a store**,
        /// read what is written and answer what they like. For clusters whose certificates name no hosts; where they share
        /// one name, ``ClientConfiguration/TLS/serverName`` is the safe way, and ``ClientConfiguration/TLS/allowedNames``
        /// where they share a common name.
        public static let withoutHostName = Verification(wrapped: .withoutHostName)

        /// Nothing at all. **Anyone on the way can pose as PD or a store, read everything and change it**; the encryption
        /// keeps out only those who merely listen. For experiments, never for data that matter.
        public static let none = Verification(wrapped: .none)
    }
}

extension ClientConfiguration.TLS.PEM: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The path, or how many bytes there are; never the bytes, which may be a private key.
    public var description: String { self.wrapped.description }
    /// The same as ``description``.
    public var debugDescription: String { self.description }
    /// Shows nothing, for the same reason.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

// MARK: - For the transport

extension ClientConfiguration.TLS {
    /// The one source of certificates for all connections of a client.
    func contextSource(logger: Logger) throws(TiKVError) -> TLSContextSource {
        let configuration = TLSConfiguration(
            trustRoots: self.trustRoots.map { .pem($0.wrapped) } ?? .systemDefault,
            identity: self.identity.map {
                TLSConfiguration.Identity(
                    certificateChain: $0.certificateChain.wrapped, privateKey: $0.privateKey.wrapped)
            },
            verification: self.verification.wrapped, serverName: self.serverName, allowedNames: self.allowedNames)
        do throws(TLSError) {
            return try TLSContextSource(configuration, .client, logger: logger)
        } catch {
            throw TiKVError(
                error.reason == .internalError ? .internalError : .invalidArgument, "\(error)", cause: error)
        }
    }
}
