// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How a server's connection comes to its end without losing a call.
///
/// The client is told that the connection goes (a GOAWAY that names no last stream), and pinged. What it began before it
/// knew is on its way before its answer to the ping, and is served like all else. With that answer the last stream is
/// named; what comes after it is refused unseen, so that the client knows that it may go elsewhere with it. When the
/// last answer is written, the client is given a moment to hang up: to close the socket on bytes that it still sends
/// would reset the connection, and might take answers along that it has not read yet.
struct ServerDrain {
    private enum State {
        case serving
        /// The GOAWAY that names no last stream is to be written. A ping goes before everything else that waits, and would
        /// be answered by a client that has not heard yet: it has to wait until the GOAWAY is out.
        case announcing
        case announced
        case settled(lastStream: Int32)
        case lingering
    }

    /// What follows from the session having nothing more to do.
    enum Finish {
        /// Name the last stream; there are none after it.
        case settle
        /// Wait for the client to hang up.
        case linger
        case nothing
    }

    private var state = State.serving

    /// No longer serves as before; what is written from here on is worth knowing to have been sent.
    var isUnderWay: Bool {
        if case .serving = self.state { false } else { true }
    }

    /// What the client still sends is of no interest.
    var isLingering: Bool {
        if case .lingering = self.state { true } else { false }
    }

    /// Returns whether the client is to be told: it was not before.
    mutating func begin() -> Bool {
        guard case .serving = self.state else { return false }
        self.state = .announcing
        return true
    }

    /// All that waited has been written. Returns whether the client is to be pinged now.
    mutating func written() -> Bool {
        guard case .announcing = self.state else { return false }
        self.state = .announced
        return true
    }

    /// The client answered a ping. Returns whether the last stream is to be named now.
    func settlesAfterPong() -> Bool {
        if case .announced = self.state { true } else { false }
    }

    /// The client is told that this was the last stream.
    mutating func settled(lastStream: Int32) {
        self.state = .settled(lastStream: lastStream)
    }

    /// Whether a stream that the client begins is served. That the last one was named and that the client has not heard
    /// it yet is no reason to look at what it sends.
    func admits(streamID: Int32) -> Bool {
        switch self.state {
        case .serving, .announcing, .announced: true
        case .settled(let lastStream): streamID <= lastStream
        case .lingering: false
        }
    }

    /// The session has nothing more to read or to write, because either side wanted to end it.
    mutating func sessionFinished() -> Finish {
        switch self.state {
        case .serving, .announcing, .announced:
            return .settle
        case .settled:
            self.state = .lingering
            return .linger
        case .lingering:
            return .nothing
        }
    }
}
