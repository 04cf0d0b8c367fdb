// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How a pessimistic transaction locks keys. See ``Transaction/lock(_:options:timeout:)``.
public struct LockOptions: Sendable, Hashable {
    /// With whom a lock is shared.
    public struct Mode: Sendable, Hashable {
        let isShared: Bool

        /// With nobody.
        public static var exclusive: Mode { Mode(isShared: false) }
        /// With others that lock the key in this mode. Such a key is never the primary, so the transaction must have locked
        /// another one before; it can't be written later, and fair locking has no such locks. Needs stores that know
        /// shared locks.
        public static var shared: Mode { Mode(isShared: true) }
    }

    /// How long to wait for another transaction's lock; nil, the default, as ``TransactionOptions/lockWaitTimeout`` says,
    /// and zero not at all.
    public var waitTimeout: Duration?
    /// Whether the values of the keys are wanted; default false.
    public var returnsValues: Bool
    /// Whether it is of interest if the keys exist; default false.
    public var checksExistence: Bool
    /// Locks only keys that exist; default false. Needs ``returnsValues``. As the first lock of a transaction it takes one key
    /// only, since the first locked key becomes the primary, which must be locked.
    public var onlyIfExists: Bool
    /// With whom the locks are shared; default ``Mode/exclusive``.
    public var mode: Mode
    /// The timestamp as of which the keys are locked: later versions are conflicts. Nil, the default, for PD's present
    /// one; then a key that is committed meanwhile is locked as of a later timestamp. With one of its own the call throws
    /// ``TiKVError/Code/writeConflict`` instead, or says so in ``LockedKey/conflict`` in fair locking.
    public var forUpdateTimestamp: Timestamp?

    /// By what stores sum up what this call costs, and by which a deadlock names it; nil, the default, for
    /// ``TransactionOptions/resourceGroupTag``.
    public var resourceGroupTag: [UInt8]?

    /// Options; what is not named has its default.
    public init(
        waitTimeout: Duration? = nil, returnsValues: Bool = false, checksExistence: Bool = false,
        onlyIfExists: Bool = false, mode: Mode = .exclusive, forUpdateTimestamp: Timestamp? = nil,
        resourceGroupTag: [UInt8]? = nil
    ) {
        self.resourceGroupTag = resourceGroupTag
        self.waitTimeout = waitTimeout
        self.returnsValues = returnsValues
        self.checksExistence = checksExistence
        self.onlyIfExists = onlyIfExists
        self.mode = mode
        self.forUpdateTimestamp = forUpdateTimestamp
    }
}

/// What became of one key that was to be locked.
public struct LockedKey: Sendable, Hashable {
    /// Whether the transaction holds its lock now; false of a key that does not exist where only those that do were to be
    /// locked.
    public var isLocked: Bool
    /// Whether the transaction held it before the call, which then has not asked about it.
    public var isAlreadyLocked: Bool
    /// Whether the key exists; nil where that was not asked for, and where the lock was held already.
    public var exists: Bool?
    /// The latest value; nil where there is none, where it was not asked for, and where the lock was held already.
    public var value: Value?
    /// In fair locking: when the version was committed that came after the timestamp of the call. The lock is held, value and
    /// existence are those of that version, and what was read before is out of date. Nil where there is none.
    public var conflict: Timestamp?
}
