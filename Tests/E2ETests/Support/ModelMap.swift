// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

/// What a test believes to be stored: keys within its space, and their values.
struct ModelMap {
    private(set) var values: [[UInt8]: [UInt8]] = [:]

    mutating func put(_ key: [UInt8], _ value: [UInt8]) { self.values[key] = value }

    mutating func remove(where condition: ([UInt8]) -> Bool) {
        self.values = self.values.filter { !condition($0.key) }
    }

    /// The keys of a range in the order that a scan must give them; empty bounds are none.
    func keys(_ start: [UInt8], _ end: [UInt8], limit: Int? = nil, reversed: Bool = false) -> [[UInt8]] {
        let found = self.values.keys.filter { key in
            !key.lexicographicallyPrecedes(start) && (end.isEmpty || key.lexicographicallyPrecedes(end))
        }
        let sorted = found.sorted { reversed ? $1.lexicographicallyPrecedes($0) : $0.lexicographicallyPrecedes($1) }
        return Array(sorted.prefix(limit ?? .max))
    }
}
