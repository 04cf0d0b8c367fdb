// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Which replicas of a region serve reads.
///
/// A replica that does not lead asks the leader how far it must have come before it answers: it sees all that was committed
/// before, and takes the reading itself off the leader's store. A stale read (``SnapshotOptions/isStaleRead``) does without
/// that question.
public struct ReplicaRead: Sendable, Hashable {
    let mode: ReplicaReadMode
    /// The stores to prefer: those that have all of these labels; empty, the default, for no preference.
    public var labels: [String: String] = [:]
    /// The stores to prefer, by id; empty, the default, for no preference.
    public var stores: Set<UInt64> = []

    private init(_ mode: ReplicaReadMode) {
        self.mode = mode
    }

    /// The leader.
    public static var leader: ReplicaRead { ReplicaRead(.leader) }
    /// A follower; the leader where none can serve.
    public static var follower: ReplicaRead { ReplicaRead(.follower) }
    /// Any replica, those on preferred stores first.
    public static var mixed: ReplicaRead { ReplicaRead(.mixed) }
    /// The leader, unless its store is slow.
    public static var preferLeader: ReplicaRead { ReplicaRead(.preferLeader) }
    /// A learner; others where none can serve.
    public static var learner: ReplicaRead { ReplicaRead(.learner) }

    /// The same with stores that have these labels preferred, such as those of the zone that the application runs in.
    public func near(_ labels: [String: String]) -> ReplicaRead {
        var copy = self
        copy.labels = labels
        return copy
    }

    /// The same with these stores preferred.
    public func on(stores: Set<UInt64>) -> ReplicaRead {
        var copy = self
        copy.stores = stores
        return copy
    }

    /// - Parameter isStale: whether any replica may answer from what it has.
    func options(isStale: Bool) -> ReplicaOptions {
        var options = isStale ? ReplicaOptions.staleRead(labels: self.labels) : .read(self.mode, labels: self.labels)
        options.stores = self.stores
        return options
    }
}
