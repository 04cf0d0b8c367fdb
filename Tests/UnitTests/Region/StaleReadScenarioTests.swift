// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD

@testable import TiKV

/// Stale reads in three zones, with trouble in some: the leader is in zone 1, and the read is from the leader's zone (A) or
/// from a follower's, zone 2 (B).
@Suite struct StaleReadScenarioTests {
    enum Trouble: Sendable {
        /// Its store answers to nothing, and nobody knows yet.
        case down
        /// It failed and is back, so that its peers are avoided until their regions are loaded anew.
        case downAndUp
        case busy
        case dataNotReady
        /// Its peer has moved to another store.
        case moved
    }

    struct Scenario: Sendable, CustomTestStringConvertible {
        var name: String
        var leader: Trouble?
        var follower: Trouble?
        /// Who serves, and how, for either.
        var a: [String]
        var b: [String]
        var isReloadedA = false
        var isReloadedB = false
        var isValidB = true
        var isValidA = true
        var endA = SelectorModel.End.answer
        var testDescription: String { self.name }
    }

    static let scenarios: [Scenario] = [
        Scenario(name: "#01 follower down", follower: .down, a: ["1S"], b: ["1L"]),
        Scenario(
            name: "#02 follower down and up", follower: .downAndUp, a: ["1S"], b: ["1S"], isReloadedA: true,
            isReloadedB: true),
        Scenario(name: "#03 follower moved", follower: .moved, a: ["1S"], b: ["1L"], isValidB: false),
        Scenario(name: "#04 leader evicted", a: ["1S"], b: ["2S"]),
        Scenario(
            name: "#05 leader moved", leader: .moved, a: ["1S"], b: ["2S"], isValidA: false, endA: .reroute),
        Scenario(name: "#06 leader down", leader: .down, a: ["2R", "3R"], b: ["2S"], isReloadedA: true),
        Scenario(
            name: "#07 leader down and up", leader: .downAndUp, a: ["2S", "3S"], b: ["2S"], isReloadedA: true,
            isReloadedB: true),
        Scenario(name: "#09 follower not ready", follower: .dataNotReady, a: ["1S"], b: ["1L"]),
        Scenario(name: "#10 leader busy", leader: .busy, a: ["2S", "3S"], b: ["2S"]),
        Scenario(name: "#11 follower busy", follower: .busy, a: ["1S"], b: ["1L"]),
        Scenario(name: "#12 both busy", leader: .busy, follower: .busy, a: ["3S"], b: ["3S"]),
        Scenario(
            name: "#13 leader busy, follower not ready", leader: .busy, follower: .dataNotReady, a: ["2S", "3S"],
            b: ["2S", "3S"]),
        Scenario(name: "#14 leader busy, follower down", leader: .busy, follower: .down, a: ["3S"], b: ["3S"]),
        Scenario(
            name: "#15 leader down, follower not ready", leader: .down, follower: .dataNotReady, a: ["2R", "3R"],
            b: ["2R", "3R"], isReloadedA: true, isReloadedB: true),
        Scenario(
            name: "#16 leader down, follower busy", leader: .down, follower: .busy, a: ["3R"], b: ["3R"],
            isReloadedA: true, isReloadedB: true),
        Scenario(
            name: "#17 both down", leader: .down, follower: .down, a: ["3R"], b: ["3R"], isReloadedA: true,
            isReloadedB: true),
    ]

    @Test(arguments: Self.scenarios) func staleReadsGetOverIt(scenario: Scenario) {
        for (zone, served, isReloaded, isValid, end) in [
            (1, scenario.a, scenario.isReloadedA, scenario.isValidA, scenario.endA),
            (2, scenario.b, scenario.isReloadedB, scenario.isValidB, .answer),
        ] {
            var model = SelectorModel()
            var troubles: [Int: Trouble] = [:]
            troubles[1] = scenario.leader
            troubles[2] = scenario.follower
            let outcome = model.run(troubles, zone: zone)
            #expect(served.contains(outcome.path.last ?? ""), "zone \(zone): \(outcome.path)")
            #expect(outcome.end == end, "zone \(zone): \(outcome.path)")
            #expect(model.isToBeReloaded == isReloaded, "zone \(zone): \(outcome.path)")
            #expect(model.isValid == isValid, "zone \(zone): \(outcome.path)")
        }
    }
}

extension SelectorModel {
    /// A stale read from a zone, where stores are in trouble.
    fileprivate mutating func run(_ troubles: [Int: StaleReadScenarioTests.Trouble], zone: Int) -> Outcome {
        for (store, trouble) in troubles where trouble == .downAndUp {
            self.stores[store - 1].isEpochStale = true
        }
        return self.run(.staleRead(labels: ["zone": "z\(zone)"]), labels: zone) { choice in
            switch troubles[choice.index + 1] {
            case .down: .timeout
            case .busy: .busy
            case .dataNotReady where choice.isStaleRead: .dataNotReady
            case .moved: .error(.regionNotFound)
            default: nil
            }
        }
    }
}
