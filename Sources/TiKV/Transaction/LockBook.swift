// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a pessimistic transaction knows of its locks beside the flags in its write buffer: which key is the primary, as of
/// which timestamp it locks, and what fair locking has taken so far. Pure.
///
/// In fair locking a lock is given although the key was committed since, and the caller is told. A statement that finds
/// itself overtaken then runs again while it keeps its locks: those that the next attempt asks for again it has already, the
/// others are given back. So the locks of an attempt are kept apart until the statement is done.
struct LockBook: Sendable {
    /// What was found when a key was locked.
    struct Entry: Sendable, Hashable {
        var exists: Bool
        var value: [UInt8]?
        /// Whether the value was asked for, so that nil says that there is none.
        var hasValue: Bool
        /// When the version was committed that came after the timestamp of the lock; 0 where none did.
        var conflict: UInt64 = 0
        /// The timestamp that the lock has.
        var forUpdate: UInt64
    }

    /// Fair locking: the present attempt of a statement and the one before it.
    private struct Stage: Sendable {
        var previous: [[UInt8]: Entry] = [:]
        var current: [[UInt8]: Entry] = [:]
        /// The primary that this attempt, or the one before, has chosen; nil where it was chosen before the stage.
        var primary: [UInt8]?
        var previousPrimary: [UInt8]?
        var hasChosenPrimary = false
        var hadChosenPrimary = false
        var conflict: UInt64 = 0
        var began: ContinuousClock.Instant
        var previousBegan: ContinuousClock.Instant
    }

    /// One call that locks keys.
    struct Call: Sendable, Hashable {
        /// The keys to be sent, in order.
        var keys: [[UInt8]]
        /// Locked by the attempt before, and known well enough.
        var known: [[UInt8]: Entry]
        /// Keys that the stage had before.
        var taken: Set<[UInt8]>
        let primary: [UInt8]
        /// Whether this call has chosen the primary.
        let choosesPrimary: Bool
        /// Whether the heartbeat is for a key that is not the primary any more.
        let stopsHeartbeat: Bool
        let isFair: Bool
        /// Whether a lock is to be given in spite of later versions.
        let isForced: Bool
    }

    /// What is to be done when locks are given up.
    struct Release: Sendable, Hashable {
        var keys: [[UInt8]] = []
        /// No lock is left at the primary.
        var stopsHeartbeat = false
    }

    private(set) var primary: [UInt8]?
    /// The latest timestamp of a lock.
    private(set) var forUpdate: UInt64 = 0
    /// The timestamps that locks of fair locking have, which prewrite makes sure of.
    private(set) var constraints: [[UInt8]: UInt64] = [:]
    private var stage: Stage?

    var isFair: Bool { self.stage != nil }
    /// How many keys the stage has locked, those of the attempt before included.
    var stageCount: Int { self.stage.map { $0.current.count + $0.previous.count } ?? 0 }
    /// Every key that the stage has locked.
    var stageKeys: [[UInt8]] { self.stage.map { Array($0.current.keys) + Array($0.previous.keys) } ?? [] }

    /// Whether the present attempt has locked a key.
    func isInStage(_ key: [UInt8]) -> Bool { self.stage?.current[key] != nil }

    /// What the stage knows of a key, and whether that is from the attempt before.
    func entry(of key: [UInt8]) -> (entry: Entry, isPrevious: Bool)? {
        if let entry = self.stage?.current[key] { return (entry, false) }
        return self.stage?.previous[key].map { ($0, true) }
    }

    // MARK: - Locking

    /// A call is about to lock keys.
    ///
    /// - Parameters:
    ///   - keys: in order, at least one; not those that are locked for good already, unless they are asked about again.
    ///   - lifetime: how long locks live without a sign of life: what the attempt before took longer ago is taken again.
    mutating func begin(
        _ keys: [[UInt8]], forUpdate: UInt64, returnsValues: Bool, now: ContinuousClock.Instant, lifetime: Duration
    ) -> Call {
        self.forUpdate = max(self.forUpdate, forUpdate)
        let chooses = self.primary == nil
        if chooses {
            let last = self.stage?.previousPrimary
            let chosen = last.flatMap { keys.contains($0) ? $0 : nil } ?? keys[0]
            self.primary = chosen
            self.stage?.hasChosenPrimary = true
            self.stage?.primary = chosen
        }
        let primary = self.primary ?? keys[0]
        guard var stage = self.stage else {
            return Call(
                keys: keys, known: [:], taken: [], primary: primary, choosesPrimary: chooses, stopsHeartbeat: false,
                isFair: false, isForced: false)
        }
        // Locks that point to another primary must be pointed to the new one.
        let isSamePrimary = !stage.hasChosenPrimary || stage.previousPrimary == stage.primary
        let isFresh = stage.previousBegan.duration(to: now) < lifetime
        var rest: [[UInt8]] = []
        var known: [[UInt8]: Entry] = [:]
        var taken: Set<[UInt8]> = []
        for key in keys {
            if stage.current[key] != nil { taken.insert(key) }
            guard var entry = stage.previous.removeValue(forKey: key) else {
                rest.append(key)
                continue
            }
            taken.insert(key)
            // With a conflict the store has told everything.
            let isEnough = entry.conflict != 0 || entry.hasValue || !returnsValues
            guard isSamePrimary, isFresh, isEnough else {
                rest.append(key)
                continue
            }
            entry.hasValue = entry.hasValue || entry.conflict != 0
            // The attempt reads at a timestamp that has seen it.
            entry.conflict = 0
            known[key] = entry
            stage.current[key] = entry
        }
        let stops = !rest.isEmpty && chooses && stage.primary != stage.previousPrimary
        self.stage = stage
        return Call(
            keys: rest, known: known, taken: taken, primary: primary, choosesPrimary: chooses, stopsHeartbeat: stops,
            isFair: true, isForced: rest.count == 1)
    }

    /// The call goes on as of a later timestamp.
    mutating func advance(to forUpdate: UInt64) { self.forUpdate = max(self.forUpdate, forUpdate) }

    /// The keys are locked.
    ///
    /// - Parameter entries: those of the call's keys that were locked, which is not all where only keys that exist were to
    ///   be.
    /// - Returns: whether the primary is not locked after all.
    mutating func succeeded(_ call: Call, _ entries: [[UInt8]: Entry]) -> Bool {
        // A lock that is taken again has the later timestamp.
        for (key, entry) in entries {
            if let before = self.constraints[key] { self.constraints[key] = max(before, entry.forUpdate) }
        }
        if call.isFair {
            for (key, entry) in entries {
                self.stage?.current[key] = entry
                let conflict = max(self.stage?.conflict ?? 0, entry.conflict)
                self.stage?.conflict = conflict
            }
        }
        guard call.choosesPrimary, entries[call.primary] == nil, call.known[call.primary] == nil else { return false }
        self.forgetPrimary()
        return true
    }

    /// The call has failed.
    ///
    /// - Parameter isLocked: whether some of the keys may be locked all the same.
    /// - Returns: what is to be given back: what the stage had of these keys, too.
    mutating func failed(_ call: Call, isLocked: Bool) -> Release {
        var release = Release()
        for key in call.keys + Array(call.known.keys) where isLocked || call.taken.contains(key) {
            self.stage?.current[key] = nil
            release.keys.append(key)
        }
        if call.choosesPrimary {
            self.forgetPrimary()
            release.stopsHeartbeat = true
        }
        return release
    }

    private mutating func forgetPrimary() {
        self.primary = nil
        self.stage?.hasChosenPrimary = false
        self.stage?.primary = nil
    }

    /// The timestamp up to which locks are given back.
    var releaseTimestamp: UInt64 { max(self.forUpdate, self.stage?.conflict ?? 0) }

    // MARK: - Fair locking

    /// Begins; false where it has already.
    mutating func start(at now: ContinuousClock.Instant) -> Bool {
        guard self.stage == nil else { return false }
        self.stage = Stage(began: now, previousBegan: now)
        return true
    }

    /// The statement begins anew.
    ///
    /// - Returns: the locks of the attempt before the present one that it had no use for.
    mutating func retry(at now: ContinuousClock.Instant) -> Release {
        guard var stage = self.stage else { return Release() }
        let release = Release(keys: Array(stage.previous.keys))
        if stage.hasChosenPrimary {
            stage.hasChosenPrimary = false
            stage.hadChosenPrimary = true
            // The heartbeat goes on until it is known who the primary is.
            self.primary = nil
        }
        stage.previousPrimary = stage.primary
        stage.primary = nil
        stage.previousBegan = stage.began
        stage.began = now
        stage.previous = stage.current
        stage.current = [:]
        self.stage = stage
        return release
    }

    /// Ends it and gives back all that it has locked.
    mutating func cancel() -> Release {
        guard let stage = self.stage else { return Release() }
        var release = Release(keys: self.stageKeys)
        if stage.hasChosenPrimary || stage.hadChosenPrimary {
            self.primary = nil
            release.stopsHeartbeat = true
        }
        self.forUpdate = self.releaseTimestamp
        self.stage = nil
        return release
    }

    /// Ends it and keeps what the present attempt has locked.
    mutating func done() -> (release: Release, kept: [[UInt8]: Entry]) {
        guard let stage = self.stage else { return (Release(), [:]) }
        var release = Release(keys: Array(stage.previous.keys))
        if stage.hadChosenPrimary, !stage.hasChosenPrimary {
            self.primary = nil
            release.stopsHeartbeat = true
        }
        for (key, entry) in stage.current {
            self.constraints[key] = max(self.constraints[key] ?? 0, entry.forUpdate)
        }
        self.forUpdate = self.releaseTimestamp
        self.stage = nil
        return (release, stage.current)
    }
}
