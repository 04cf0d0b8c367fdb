// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Which replica of a region a read goes to.
enum ReplicaReadMode: Sendable, Hashable {
    /// The leader. Where it can't serve, the others are tried for one who leads.
    case leader
    /// A follower; the leader where no follower can serve.
    case follower
    /// Any replica, preferably one whose store has the labels asked for.
    case mixed
    /// The leader, unless its store is slow.
    case preferLeader
    /// A learner; others where none can serve.
    case learner
}
