// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import SwiftProtobuf

/// A message in gRPC's frame: one byte for compression, four for the length, then the message.
///
/// SwiftProtobuf writes straight behind the prefix, so that a message is encoded once and never moved.
struct FramedMessage: SwiftProtobufContiguousBytes {
    static let prefixLength = 5

    private(set) var frame: [UInt8]

    init(repeating value: UInt8, count: Int) {
        self.frame = [UInt8](repeating: value, count: Self.prefixLength + count)
        self.writePrefix()
    }

    init<S: Sequence>(_ sequence: S) where S.Element == UInt8 {
        self.frame = [0, 0, 0, 0, 0]
        self.frame.append(contentsOf: sequence)
        self.writePrefix()
    }

    var count: Int { self.frame.count - Self.prefixLength }

    func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        unsafe try self.frame.withUnsafeBytes {
            unsafe try body(UnsafeRawBufferPointer(rebasing: $0[Self.prefixLength...]))
        }
    }

    mutating func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer) throws -> R) rethrows -> R {
        unsafe try self.frame.withUnsafeMutableBytes {
            unsafe try body(UnsafeMutableRawBufferPointer(rebasing: $0[Self.prefixLength...]))
        }
    }

    private mutating func writePrefix() {
        let length = UInt32(truncatingIfNeeded: self.count)
        self.frame[0] = 0
        for index in 0..<4 { self.frame[1 + index] = UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * index)) }
    }
}

extension Message {
    /// This message as it stands in a DATA frame.
    ///
    /// - Parameter limit: the most bytes the message may have; more is a `resourceExhausted` error that was not sent.
    func framed(limit: Int) throws(RPCError) -> [UInt8] {
        let message: FramedMessage
        do {
            message = try self.serializedBytes(partial: true)
        } catch {
            throw RPCError(
                .internalError, "\(Self.protoMessageName) cannot be encoded: \(error)", delivery: .notSent)
        }
        guard message.count <= limit, message.count <= Int(UInt32.max) else {
            throw Self.tooLarge(message.count, limit)
        }
        return message.frame
    }

    /// This message without a frame, as it stands in an envelope.
    func encoded(limit: Int) throws(RPCError) -> [UInt8] {
        let bytes: [UInt8]
        do {
            bytes = try self.serializedBytes(partial: true)
        } catch {
            throw RPCError(
                .internalError, "\(Self.protoMessageName) cannot be encoded: \(error)", delivery: .notSent)
        }
        guard bytes.count <= limit else { throw Self.tooLarge(bytes.count, limit) }
        return bytes
    }

    private static func tooLarge(_ count: Int, _ limit: Int) -> RPCError {
        RPCError(
            .resourceExhausted, "\(Self.protoMessageName) of \(count) bytes is over the limit of \(limit) bytes",
            delivery: .notSent)
    }

    /// Reads a message that a peer sent.
    init(received bytes: [UInt8], from peer: PeerAddress) throws(RPCError) {
        do {
            self = try Self(serializedBytes: bytes, partial: true)
        } catch {
            throw RPCError(
                .internalError, "\(Self.protoMessageName) cannot be decoded: \(error)", delivery: .unknown,
                peer: peer.description)
        }
    }
}
