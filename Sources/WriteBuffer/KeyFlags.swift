// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a transaction remembers of a key beside its value.
package struct KeyFlags: OptionSet, Sendable, Hashable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The key is taken not to exist: writing it is an insert, and the store checks that when it is locked or prewritten.
    package static let presumeNotExists = KeyFlags(rawValue: 1 << 0)
    /// The transaction holds the key's lock.
    package static let locked = KeyFlags(rawValue: 1 << 1)
    /// The key must be locked when the transaction commits, also where its value does not change.
    package static let needLocked = KeyFlags(rawValue: 1 << 2)
    /// When the key was locked, it had a value.
    package static let lockedValueExists = KeyFlags(rawValue: 1 << 3)
    /// Whether the key exists must still be checked.
    package static let needCheckExists = KeyFlags(rawValue: 1 << 4)
    /// The key takes part in prewrite, as a check, and has no lock to commit.
    package static let prewriteOnly = KeyFlags(rawValue: 1 << 5)
    /// The value may be read by the transaction, although it does not take part in the commit.
    package static let readable = KeyFlags(rawValue: 1 << 6)
    /// The transaction itself made the key, so a later delete undoes it.
    package static let newlyInserted = KeyFlags(rawValue: 1 << 7)
    /// The store must find the key. With ``assertNotExist``: nothing is known.
    package static let assertExist = KeyFlags(rawValue: 1 << 8)
    /// The store must not find the key. With ``assertExist``: nothing is known.
    package static let assertNotExist = KeyFlags(rawValue: 1 << 9)
    /// Constraints that pessimistic locking would check are checked by prewrite.
    package static let needConstraintCheckInPrewrite = KeyFlags(rawValue: 1 << 10)
    /// ``presumeNotExists`` was set before a stage took it back.
    package static let previousPresumeNotExists = KeyFlags(rawValue: 1 << 11)
    /// The lock that the transaction holds, or is to take, is shared with others.
    package static let lockedInShareMode = KeyFlags(rawValue: 1 << 12)

    /// What stays when a stage is rolled back: locks are held by the store, whatever becomes of the statement.
    package static let persistent: KeyFlags = [
        .locked, .lockedValueExists, .needConstraintCheckInPrewrite, .lockedInShareMode,
    ]

    /// What every further write of the key takes away, unless it sets it anew.
    package static let untilNextWrite: KeyFlags = [.needConstraintCheckInPrewrite]

    /// The flags that a rolled-back stage leaves behind.
    package var persistentPart: KeyFlags { self.intersection(.persistent) }
}

/// A change of a key's flags: first takes away, then sets.
package struct KeyFlagChange: Sendable, Hashable {
    package var cleared: KeyFlags
    package var set: KeyFlags

    package init(set: KeyFlags = [], cleared: KeyFlags = []) {
        self.set = set
        self.cleared = cleared
    }

    package static let none = KeyFlagChange()

    package static func set(_ flags: KeyFlags) -> KeyFlagChange { KeyFlagChange(set: flags) }

    package static func clear(_ flags: KeyFlags) -> KeyFlagChange { KeyFlagChange(cleared: flags) }

    /// What is asserted of the key from now on.
    package static func assert(exists: Bool?) -> KeyFlagChange {
        let both: KeyFlags = [.assertExist, .assertNotExist]
        return switch exists {
        case true: KeyFlagChange(set: .assertExist, cleared: both)
        case false: KeyFlagChange(set: .assertNotExist, cleared: both)
        case nil: KeyFlagChange(set: both)
        }
    }

    package func applied(to flags: KeyFlags) -> KeyFlags {
        flags.subtracting(self.cleared).union(self.set)
    }
}
