// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import NIOCore

@testable import TiKVTransport

/// Headers' values, addresses, and TLS.
enum TextFuzz {
    static func text(_ reader: inout FuzzReader) -> [String] {
        var faults: [String] = []
        let block = FramingFuzz.block(&reader)
        if case .call(let call) = RequestHead(block) {
            for field in call.metadata.fields { _ = call.metadata.allBinary(field.name) }
            if let limit = call.timeLimit, limit < .zero { faults.append("a negative time limit") }
        }
        let bytes = reader.remainder()
        let text = String(decoding: bytes, as: UTF8.self)
        if let time = GRPCTimeout.decode(bytes) {
            let again = GRPCTimeout.decode(GRPCTimeout.encode(nanoseconds: time)) ?? -1
            // The longest time that can be written is shorter than the longest that can be held.
            if time > 0, again < time, time < .max { faults.append("\(time) ns became \(again)") }
        }
        if let decoded = Base64.decode(bytes), Base64.decode(Base64.encode(decoded).utf8) != decoded {
            faults.append("base64 of \(decoded)")
        }
        if Base64.decode(Base64.encode(bytes).utf8) != bytes { faults.append("base64 of \(bytes)") }
        _ = StatusMessage.decode(text)
        let encoded = String(decoding: StatusMessage.encode(text), as: UTF8.self)
        if StatusMessage.decode(encoded) != text { faults.append("status message \(text)") }
        if let address = PeerAddress(text), PeerAddress(address.description) != address {
            faults.append("address \(address)")
        }
        return faults
    }

    private static let contexts: (client: TLSContext, server: TLSContext)? = {
        guard let authority = try? CertificateAuthority("fuzz CA"), let roots = try? authority.trustRoots,
            let identity = try? authority.issue(.init("server", names: ["localhost"])).identity,
            let client = try? TLSContext(TLSConfiguration(trustRoots: roots), .client),
            let server = try? TLSContext(TLSConfiguration(trustRoots: roots, identity: identity), .server)
        else { return nil }
        return (client, server)
    }()

    /// Bytes that are no TLS, or no more than its beginning: an error with a reason, and never plaintext.
    static func tls(_ reader: inout FuzzReader) -> [String] {
        var faults: [String] = []
        let choices = reader.byte()
        let alert = TLSAlert.error(
            Int32(choices), ownCertificate: choices & 1 != 0, certificateWanted: choices & 2 != 0,
            isHandshaking: choices & 4 != 0)
        if alert.description.isEmpty { faults.append("alert \(choices) has no text") }
        guard let contexts = Self.contexts else { return ["no certificates"] }
        let made =
            choices & 1 == 0
            ? try? TLSSession(server: contexts.server)
            : try? TLSSession(client: contexts.client, host: "localhost", port: 1)
        guard var session = made else { return ["no session"] }
        do throws(TLSError) {
            try session.start()
        } catch {
            faults.append("\(error)")
        }
        _ = session.takeOutput()
        let bytes = reader.remainder()
        _ = TLSRecord.looksLikeTLS(ByteBuffer(bytes: bytes))
        if TLSRecord.describe(ByteBuffer(bytes: bytes)).isEmpty { faults.append("no words for \(bytes)") }
        var offset = 0
        var plaintext = ByteBuffer()
        while offset < bytes.count {
            let size = min(choices & 8 == 0 ? bytes.count : 5, bytes.count - offset)
            do throws(TLSError) {
                _ = try session.receive(ByteBuffer(bytes: bytes[offset..<(offset + size)]), into: &plaintext)
            } catch {
                if error.description.isEmpty { faults.append("an error without a reason") }
                if session.isOpen { faults.append("open after an error") }
            }
            _ = session.takeOutput()
            offset += size
        }
        if session.isOpen || plaintext.readableBytes > 0 { faults.append("a handshake without keys") }
        return faults
    }
}
