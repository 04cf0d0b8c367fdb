// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Sorted keys as numbers in one piece of memory, for searching without a look at the keys themselves.
///
/// What all keys share at their beginning comes first, eight bytes to a number, and after that for each key the eight bytes
/// that follow on it. Behind these there may be as many numbers again, of other keys in the same terms: where spans end,
/// say. Only a key whose number is the same as another's has to be compared in full, by whoever has the keys.
package struct KeyDigest: Sendable {
    /// Where a key belongs.
    package struct Place: Sendable, Equatable {
        /// How many of the keys are before the one sought or are it, as far as their numbers tell.
        package var upper: Int
        /// The eight bytes of the key sought that follow on what all keys share.
        package var head: UInt64
        /// Whether the numbers decide: the key begins as all do, and no key has the same number.
        package var isDecided: Bool
        /// Whether keys of the same number come before `upper`, which are to be compared in full.
        package var hasTies: Bool
    }

    /// How many keys there are.
    package private(set) var count: Int
    /// How many bytes at the beginning all keys share, or fewer.
    private var shared: Int
    /// The shared bytes, the keys' numbers, and the other numbers.
    private var words: [UInt64]

    /// - Parameter keys: sorted, and each there once.
    package init(_ keys: some RandomAccessCollection<[UInt8]>) {
        self.count = keys.count
        var shared = 0
        if let first = keys.first, let last = keys.last { shared = KeyOrder.sharedPrefix(first, last) }
        self.shared = shared
        self.words = []
        self.words.reserveCapacity((shared + 7) / 8 + 2 * keys.count + 1)
        if let first = keys.first {
            for word in 0..<((shared + 7) / 8) {
                self.words.append(KeyOrder.head(of: first, from: word * 8) & Self.mask(word, of: shared))
            }
        }
        for key in keys { self.words.append(KeyOrder.head(of: key, from: shared)) }
    }

    // MARK: - Searching

    package func place(of key: [UInt8]) -> Place {
        let start = (self.shared + 7) / 8
        var word = 0
        while word < start {
            let own = KeyOrder.head(of: key, from: word * 8) & Self.mask(word, of: self.shared)
            if own != self.words[word] {
                return Place(
                    upper: own < self.words[word] ? 0 : self.count, head: 0, isDecided: false, hasTies: false)
            }
            word += 1
        }
        let head = KeyOrder.head(of: key, from: self.shared)
        // The greatest number that is not above the one sought, found without a jump that can be foretold wrongly.
        var low = 0
        var length = self.count
        while length > 0 {
            let half = (length + 1) / 2
            low = self.words[start + low + half - 1] <= head ? low + half : low
            length -= half
        }
        let ties = low > 0 && self.words[start + low - 1] == head
        return Place(upper: low, head: head, isDecided: !ties, hasTies: ties)
    }

    /// How many of the keys are before a key.
    ///
    /// - Parameter orEqual: counts the key itself too.
    package func count(before key: [UInt8], orEqual: Bool, keyAt: (Int) -> [UInt8]) -> Int {
        let place = self.place(of: key)
        guard place.hasTies else { return place.upper }
        return self.settle(place, key, orEqual: orEqual, keyAt)
    }

    /// Compares the keys whose numbers don't decide.
    @inline(never)
    private func settle(_ place: Place, _ key: [UInt8], orEqual: Bool, _ keyAt: (Int) -> [UInt8]) -> Int {
        let start = (self.shared + 7) / 8
        var low = place.upper
        while low > 0, self.words[start + low - 1] == place.head { low -= 1 }
        var high = place.upper
        while low < high {
            let middle = (low + high) / 2
            let order = KeyOrder.compare(keyAt(middle), key)
            if order < 0 || orEqual && order == 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: - Changing

    /// Puts a key between the others.
    ///
    /// - Returns: false where it does not begin as the others do, so that all must be digested anew; nothing has changed then.
    package mutating func insert(_ key: [UInt8], at index: Int) -> Bool {
        guard self.count > 0, self.isWithin(key) else { return false }
        self.words.insert(KeyOrder.head(of: key, from: self.shared), at: (self.shared + 7) / 8 + index)
        self.count += 1
        return true
    }

    package mutating func remove(at index: Int) {
        self.words.remove(at: (self.shared + 7) / 8 + index)
        self.count -= 1
    }

    // MARK: - Other numbers

    /// One of the other numbers.
    package func other(_ index: Int) -> UInt64 { self.words[(self.shared + 7) / 8 + self.count + index] }

    /// Puts the number of a key that is after one of those here, or the end of all keys where it is empty, among the other
    /// numbers. One that does not begin as the keys here do is after all that do: its number is the greatest.
    package mutating func insertOther(_ key: [UInt8], at index: Int) {
        let head = key.isEmpty || !self.isWithin(key) ? .max : KeyOrder.head(of: key, from: self.shared)
        self.words.insert(head, at: (self.shared + 7) / 8 + self.count + index)
    }

    package mutating func removeOther(at index: Int) {
        self.words.remove(at: (self.shared + 7) / 8 + self.count + index)
    }

    // MARK: - Private

    private func isWithin(_ key: [UInt8]) -> Bool {
        if key.count < self.shared { return false }
        for word in 0..<((self.shared + 7) / 8)
        where KeyOrder.head(of: key, from: word * 8) & Self.mask(word, of: self.shared) != self.words[word] {
            return false
        }
        return true
    }

    /// Which bytes of a word belong to what is shared.
    private static func mask(_ word: Int, of shared: Int) -> UInt64 {
        let bytes = shared - word * 8
        return bytes >= 8 ? .max : ~(UInt64.max >> UInt64(bytes * 8))
    }
}
