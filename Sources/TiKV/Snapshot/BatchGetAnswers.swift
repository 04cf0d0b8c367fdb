// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// What stores have answered to a batch of keys. Pure.
struct BatchGetAnswers: Sendable {
    /// What is known of keys by now, absence included.
    private(set) var found: [(key: [UInt8], value: SnapshotCache.Found?)] = []
    /// The keys to be asked for again, once the errors have been dealt with.
    private(set) var locked: [[UInt8]] = []
    private(set) var errors: [Kvrpcpb_KeyError] = []

    /// Takes the answer to some of the keys.
    mutating func received(_ response: Kvrpcpb_BatchGetResponse, for keys: [[UInt8]]) {
        guard !response.hasError else {
            // It is about all of them, whatever else it has.
            self.errors.append(response.error)
            self.locked += keys
            return
        }
        var values: [[UInt8]: SnapshotCache.Found] = [:]
        var lockedHere: Set<[UInt8]> = []
        for pair in response.pairs {
            let key = [UInt8](pair.key)
            if pair.hasError {
                self.errors.append(pair.error)
                // A lock names its key; the pair may not.
                lockedHere.insert(key.isEmpty ? [UInt8](pair.error.locked.key) : key)
            } else {
                values[key] = SnapshotCache.Found(value: [UInt8](pair.value), commit: pair.commitTs)
            }
        }
        // Nobody knows which key an error is about that is none of them.
        let isAnyoneMeant = !lockedHere.isEmpty && lockedHere.isDisjoint(with: keys)
        for key in keys {
            if isAnyoneMeant || lockedHere.contains(key) {
                self.locked.append(key)
            } else {
                self.found.append((key, values[key]))
            }
        }
    }
}
