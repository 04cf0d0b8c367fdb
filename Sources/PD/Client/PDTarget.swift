// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
import TiKVProto
import TiKVTransport

/// Where a question for the leader goes.
struct PDTarget: Sendable {
    /// The leader, as far as known.
    let leader: PeerAddress
    /// Who is called: the leader, or a follower that passes the call on.
    let address: PeerAddress
    let channel: any RPCChannel
    /// Asks the follower to pass the call on.
    let metadata: Metadata
    let clusterID: UInt64
    /// The leader's URL in its own words.
    let url: String
    /// What callers without patience have found out about it.
    var silence = SharedSilence()

    var isForwarded: Bool { self.leader != self.address }

    /// The name of the header that says for whom a call is.
    static let forwardedHost = "pd-forwarded-host"
    /// The name of the header that lets a follower answer by itself.
    static let followerHandling = "pd-allow-follower-handle"
}

/// How long a member has said nothing to callers each of whom had no time to be sure of it.
struct Silence: Sendable {
    private var began: ContinuousClock.Instant?
    private var last: ContinuousClock.Instant?

    /// The member answered.
    mutating func end() {
        self.began = nil
        self.last = nil
    }

    /// A caller's time was over before the member answered.
    ///
    /// - Returns: whether, all such callers together, nothing was heard for as long as the limit, in which it was asked
    ///   again and again.
    mutating func heardNothing(
        from start: ContinuousClock.Instant, to now: ContinuousClock.Instant, limit: Duration
    ) -> Bool {
        if let last = self.last, last.duration(to: start) >= limit { self.began = nil }
        let began = min(self.began ?? start, start)
        self.began = began
        self.last = max(self.last ?? now, now)
        return began.duration(to: now) >= limit
    }
}

/// The same, for callers at the same time.
final class SharedSilence: Sendable {
    private let state = Mutex(Silence())
    /// Whether there is anything to end, so that answers need no lock.
    private let hasBegun = Atomic(false)

    func end() {
        guard self.hasBegun.load(ordering: .relaxed) else { return }
        self.hasBegun.store(false, ordering: .relaxed)
        self.state.withLock { $0.end() }
    }

    func heardNothing(
        from start: ContinuousClock.Instant, to now: ContinuousClock.Instant, limit: Duration
    ) -> Bool {
        self.hasBegun.store(true, ordering: .relaxed)
        return self.state.withLock { $0.heardNothing(from: start, to: now, limit: limit) }
    }
}

/// A member that does not lead.
struct PDFollower: Sendable {
    let address: PeerAddress
    let channel: any RPCChannel
}

/// Who may answer a question.
enum PDRoute: Sendable {
    case leader
    /// Followers too, where there is no leader, and in turn with it where `isShared` says so: what they know of regions may
    /// be a little old.
    case anyMember(isShared: Bool)
}
