// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import Synchronization

/// A server's channels that are not connections yet: in a handshake, or refused and about to hang up. A server that
/// stops closes them through this; else each would stay until its time limit.
final class TLSHandshakes: Sendable {
    private struct State: Sendable {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isClosed = false
    }

    private let state = Mutex(State())

    var count: Int { self.state.withLock { $0.channels.count } }

    func began(_ channel: any Channel) {
        let isClosed = self.state.withLock { state in
            if !state.isClosed { state.channels[ObjectIdentifier(channel)] = channel }
            return state.isClosed
        }
        // Later: it is being set up just now.
        if isClosed { channel.eventLoop.execute { channel.close(promise: nil) } }
    }

    func ended(_ channel: any Channel) {
        self.state.withLock { state in _ = state.channels.removeValue(forKey: ObjectIdentifier(channel)) }
    }

    /// Closes those that are there, and those that come later.
    func closeAll() {
        let channels = self.state.withLock { state in
            state.isClosed = true
            defer { state.channels = [:] }
            return Array(state.channels.values)
        }
        for channel in channels { channel.close(promise: nil) }
    }
}
