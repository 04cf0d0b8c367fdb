// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// Who may commit which keys within this process: transactions that write the same keys go one after the other, and one
/// that has begun before another of them committed learns at once that it will conflict. Pure.
///
/// Of each key is remembered when it was committed last, for two minutes in the time of the timestamps.
struct LocalLatches: Sendable {
    typealias ID = Int

    enum Grant: Sendable, Hashable {
        /// All keys are held.
        case held
        /// Another holds one of the keys; `released` will name this one.
        case waiting
        /// A key was committed after the transaction began. What is held is still to be released.
        case stale
    }

    private struct Latch: Sendable {
        var holder: ID?
        /// The latest commit of the key.
        var committed: UInt64 = 0
        /// Those that wait for it, the first first.
        var waiting: [ID] = []
    }

    private struct Claim: Sendable {
        let start: UInt64
        /// In order, so that no two wait for each other.
        let keys: [[UInt8]]
        var held = 0
    }

    /// How long a commit is remembered, in milliseconds.
    static let memory: UInt64 = 120_000
    /// How many keys are remembered before old ones are looked for.
    private let threshold: Int
    private var latches: [[UInt8]: Latch] = [:]
    private var claims: [ID: Claim] = [:]
    private var nextID = 1
    private var nextCollection: Int

    /// - Parameter threshold: how many keys may be remembered before old ones are dropped.
    init(threshold: Int = 50_000) {
        self.threshold = threshold
        self.nextCollection = threshold
    }

    /// How many keys are remembered.
    var count: Int { self.latches.count }

    /// The key that a claim has got no further than.
    func nextKey(of id: ID) -> [UInt8]? {
        guard let claim = self.claims[id], claim.held < claim.keys.count else { return nil }
        return claim.keys[claim.held]
    }

    /// Claims keys for a transaction.
    mutating func acquire(_ keys: some Sequence<[UInt8]>, start: UInt64) -> (id: ID, grant: Grant) {
        if self.latches.count >= self.nextCollection { self.collect(at: start) }
        let id = self.nextID
        self.nextID += 1
        self.claims[id] = Claim(start: start, keys: Set(keys).sorted { KeyOrder.isLess($0, $1) })
        return (id, self.proceed(id))
    }

    /// Releases a claim, which may still be waiting.
    ///
    /// - Parameter committed: when the transaction was committed; nil where it was not.
    /// - Returns: who waits no longer, with what became of their claims.
    mutating func release(_ id: ID, committed: UInt64?) -> [(id: ID, grant: Grant)] {
        guard let claim = self.claims.removeValue(forKey: id) else { return [] }
        var woken: [(id: ID, grant: Grant)] = []
        if claim.held < claim.keys.count { self.latches[claim.keys[claim.held]]?.waiting.removeAll { $0 == id } }
        for key in claim.keys.prefix(claim.held) {
            self.latches[key]?.holder = nil
            if let committed, let before = self.latches[key]?.committed {
                self.latches[key]?.committed = max(before, committed)
            }
            // One that learns that it is stale does not take the key: then it is the next one's turn.
            while let latch = self.latches[key], latch.holder == nil, let next = latch.waiting.first {
                self.latches[key]?.waiting.removeFirst()
                let grant = self.proceed(next)
                if grant != .waiting { woken.append((next, grant)) }
            }
        }
        return woken
    }

    /// Drops keys that nobody holds or waits for and that were committed long before `now`.
    mutating func collect(at now: UInt64) {
        let time = now >> 18
        self.latches = self.latches.filter { _, latch in
            latch.holder != nil || !latch.waiting.isEmpty || (latch.committed >> 18) + Self.memory > time
        }
        self.nextCollection = max(self.threshold, self.latches.count * 2)
    }

    /// Takes one key after the other as long as they are free.
    private mutating func proceed(_ id: ID) -> Grant {
        guard var claim = self.claims[id] else { return .stale }
        defer { self.claims[id] = claim }
        while claim.held < claim.keys.count {
            let key = claim.keys[claim.held]
            var latch = self.latches[key] ?? Latch()
            guard latch.committed <= claim.start else { return .stale }
            guard latch.holder == nil else {
                latch.waiting.append(id)
                self.latches[key] = latch
                return .waiting
            }
            latch.holder = id
            self.latches[key] = latch
            claim.held += 1
        }
        return .held
    }
}
