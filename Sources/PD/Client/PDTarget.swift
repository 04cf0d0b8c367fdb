// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

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

    var isForwarded: Bool { self.leader != self.address }

    /// The name of the header that says for whom a call is.
    static let forwardedHost = "pd-forwarded-host"
    /// The name of the header that lets a follower answer by itself.
    static let followerHandling = "pd-allow-follower-handle"
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
