// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

/// Up to which timestamp any replica can be read without asking a leader: for each store as it was told last, and the
/// lowest of them for the cluster and for each zone.
///
/// A store that says 0 has just started, or doesn't know; it is left out of the minimum, so that it holds nobody back. One
/// that never said anything makes the minimum 0.
struct SafeTimestampTable: Sendable {
    /// The scope of all stores.
    static let global = "global"
    /// The label of a store that names its zone.
    static let zoneLabel = "zone"

    private(set) var stores: [UInt64: TiKVPD.Timestamp] = [:]
    private var minima: [String: TiKVPD.Timestamp] = [:]

    /// The lowest safe timestamp of a scope; zero where nothing is known.
    func minimum(_ scope: String) -> TiKVPD.Timestamp { self.minima[scope] ?? .zero }

    /// Whether a timestamp says something: 0 and the greatest there is stand for "unknown".
    static func isValid(_ timestamp: TiKVPD.Timestamp) -> Bool { timestamp != .zero && timestamp != .max }

    /// PD told the minimum of the whole cluster. It never goes back.
    mutating func receivedCluster(_ timestamp: TiKVPD.Timestamp) {
        guard Self.isValid(timestamp), timestamp >= self.minimum(Self.global) else { return }
        self.minima[Self.global] = timestamp
    }

    /// A store's timestamp was told, by PD or by itself. It never goes back.
    mutating func received(_ timestamp: TiKVPD.Timestamp, ofStore id: UInt64) {
        guard timestamp != .max, timestamp >= self.stores[id] ?? .zero else { return }
        self.stores[id] = timestamp
    }

    /// Counts the minima anew, for the stores that there are.
    mutating func update(_ present: [StoreDescription]) {
        var scopes: [String: [UInt64]] = [:]
        for store in present {
            scopes[Self.global, default: []].append(store.id)
            if let zone = store.labels[Self.zoneLabel] { scopes[zone, default: []].append(store.id) }
        }
        for (scope, ids) in scopes {
            let known = ids.map { self.stores[$0] }
            guard !known.contains(nil) else {
                self.minima[scope] = .zero
                continue
            }
            self.minima[scope] = known.compactMap { $0 }.filter { $0 != .zero }.min() ?? .zero
        }
        let ids = Set(present.map(\.id))
        self.stores = self.stores.filter { ids.contains($0.key) }
    }
}
