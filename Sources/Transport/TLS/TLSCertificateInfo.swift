// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL
internal import NIOCore

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// What a certificate says of itself, as values. The texts come from the peer and end up in errors and logs: control
/// characters are gone from them, and they have an end.
@safe package struct TLSCertificateInfo: Sendable, Equatable {
    package var subject = ""
    package var issuer = ""
    /// The last common name of the subject.
    package var commonName: String?
    /// DNS names and addresses that it is for.
    package var names: [String] = []
    /// "2026-11-23 14:00:00 UTC"
    package var notBefore = ""
    package var notAfter = ""
    package var isInValidityPeriod = false

    package init() {}

    /// Reads an `X509`, which stays the caller's.
    @unsafe init(_ certificate: OpaquePointer) {
        unsafe self.subject = Self.text(X509_get_subject_name(certificate))
        unsafe self.issuer = Self.text(X509_get_issuer_name(certificate))
        unsafe self.commonName = Self.commonName(X509_get_subject_name(certificate))
        unsafe self.names = Self.alternativeNames(certificate)
        let notBefore = unsafe X509_get0_notBefore(certificate)
        let notAfter = unsafe X509_get0_notAfter(certificate)
        unsafe self.notBefore = Self.text(notBefore)
        unsafe self.notAfter = Self.text(notAfter)
        self.isInValidityPeriod =
            unsafe X509_cmp_current_time(notBefore) < 0 && X509_cmp_current_time(notAfter) > 0
        TLSErrorQueue.clear()
    }

    /// At most `limit` characters, none of them a control character.
    static func printable(_ text: String, limit: Int = 128) -> String {
        var out = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(limit) {
            let isControl = scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
            out.append(isControl ? "\u{fffd}" : scalar)
        }
        return String(out)
    }

    // MARK: - Private

    @unsafe private static func text(_ name: OpaquePointer?) -> String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard unsafe X509_NAME_oneline(name, buffer.baseAddress, Int32(buffer.count)) != nil,
                let start = buffer.baseAddress
            else { return "" }
            return Self.printable(unsafe String(cString: start), limit: 256)
        }
    }

    @unsafe private static func commonName(_ subject: OpaquePointer?) -> String? {
        var last: Int32 = -1
        while true {
            let next = unsafe X509_NAME_get_index_by_NID(subject, NID_commonName, last)
            guard next > last else { break }
            last = next
        }
        guard last >= 0, let entry = unsafe X509_NAME_get_entry(subject, last) else { return nil }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = unsafe ASN1_STRING_to_UTF8(&bytes, X509_NAME_ENTRY_get_data(entry))
        guard count >= 0, let start = unsafe bytes else { return nil }
        defer { unsafe CRYPTO_free(start, nil, 0) }
        return unsafe String(decoding: UnsafeBufferPointer(start: start, count: Int(count)), as: UTF8.self)
    }

    @unsafe private static func alternativeNames(_ certificate: OpaquePointer) -> [String] {
        guard let raw = unsafe X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
        let list = OpaquePointer(raw)
        defer { unsafe GENERAL_NAMES_free(list) }
        var names: [String] = []
        for index in unsafe 0..<max(tikv_sk_GENERAL_NAME_num(list), 0) {
            guard let name = unsafe tikv_sk_GENERAL_NAME_value(list, index) else { continue }
            var type: Int32 = -1
            guard let value = unsafe GENERAL_NAME_get0_value(name, &type), type == GEN_DNS || type == GEN_IPADD else {
                continue
            }
            let string = unsafe value.assumingMemoryBound(to: ASN1_STRING.self)
            let count = Int(unsafe ASN1_STRING_length(string))
            let bytes = unsafe UnsafeBufferPointer(start: ASN1_STRING_get0_data(string), count: count)
            if type == GEN_DNS {
                names.append(Self.printable(unsafe String(decoding: bytes, as: UTF8.self)))
            } else if let address = try? SocketAddress(packedIPAddress: unsafe ByteBuffer(bytes: bytes), port: 0) {
                names.append(address.ipAddress ?? "")
            }
        }
        return names
    }

    @unsafe private static func text(_ time: UnsafePointer<ASN1_TIME>?) -> String {
        var parts = unsafe tm()
        guard let time = unsafe time, unsafe ASN1_TIME_to_tm(time, &parts) == 1 else { return "?" }
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let day = unsafe "\(Int(parts.tm_year) + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        return unsafe "\(day) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) UTC"
    }
}
