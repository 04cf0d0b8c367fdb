// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVPD

/// What PD says of a keyspace.
struct KeyspaceEntry: Sendable, Hashable {
    var id: UInt32
    var name: String
    /// False of one that was disabled or archived.
    var isEnabled: Bool
    /// Whether it is known by an identity of API V3, and has no number.
    var isOfV3 = false
}

/// The codec of a client. With API V2 it is made once PD has told the keyspace's number, for which the first calls wait.
final class CodecSource: Sendable {
    typealias LoadKeyspace = @Sendable (_ name: String, _ deadline: Deadline) async throws(PDError) -> KeyspaceEntry?

    private let mode: Keyspace.Mode
    private let name: String
    private let load: LoadKeyspace
    /// Nil where the codec depends on PD.
    private let constant: KeyCodec?
    private let loaded = Mutex<KeyCodec?>(nil)
    private let loads: SingleFlight<String, KeyCodec, TiKVError>

    /// - Parameters:
    ///   - keyspace: nil or empty for the default one; only API V2 has any.
    ///   - load: nil where there is no such keyspace.
    init(
        _ mode: Keyspace.Mode, apiVersion: APIVersion, keyspace: String?, clock: any TimeSource,
        load: @escaping LoadKeyspace
    ) {
        self.mode = mode
        self.name = keyspace.flatMap { $0.isEmpty ? nil : $0 } ?? Keyspace.defaultName
        self.load = load
        self.constant = apiVersion == .v2 ? nil : .v1(mode, hasTimeToLive: apiVersion.hasTimeToLive)
        self.loads = SingleFlight(clock: clock, isShared: { !$0.isCallersOwn })
    }

    /// Always the same codec.
    init(_ codec: KeyCodec, clock: any TimeSource) {
        self.mode = codec.keyspace?.mode ?? .raw
        self.name = codec.keyspace?.name ?? Keyspace.defaultName
        self.load = { _, _ throws(PDError) in nil }
        self.constant = codec
        self.loads = SingleFlight(clock: clock, isShared: { _ in true })
    }

    /// The codec, if nothing must be asked for it.
    var known: KeyCodec? { self.constant ?? self.loaded.withLock { $0 } }

    /// The codec, for which the first caller asks PD.
    ///
    /// - Throws: `keyspaceUnavailable` where there is no such keyspace, or it isn't enabled; the next call asks again.
    func codec(deadline: Deadline) async throws(TiKVError) -> KeyCodec {
        if let known = self.known { return known }
        let codec = try await self.loads.run(self.name, deadline: deadline) { () async throws(TiKVError) in
            if let known = self.known { return known }
            let entry: KeyspaceEntry?
            do throws(PDError) {
                entry = try await self.load(self.name, deadline)
            } catch {
                throw TiKVError(error)
            }
            let codec = try Self.codec(self.mode, entry, name: self.name)
            self.loaded.withLock { $0 = codec }
            return codec
        }
        if let codec { return codec }
        if Task.isCancelled { throw TiKVError(.cancelled, "cancelled while waiting for the keyspace from PD") }
        throw TiKVError(.deadlineExceeded, "PD did not say in time which keyspace \"\(self.name)\" is")
    }

    /// What follows from PD's answer.
    static func codec(
        _ mode: Keyspace.Mode, _ entry: KeyspaceEntry?, name: String
    ) throws(TiKVError) -> KeyCodec {
        guard let entry else { throw TiKVError(.keyspaceUnavailable, "there is no keyspace \"\(name)\"") }
        guard entry.isEnabled else { throw TiKVError(.keyspaceUnavailable, "keyspace \"\(name)\" is not enabled") }
        do throws(KeyCodecError) {
            guard !entry.isOfV3 else { throw .keyspaceOfV3 }
            return .v2(try Keyspace(mode, id: entry.id, name: entry.name))
        } catch {
            throw TiKVError(error)
        }
    }
}
