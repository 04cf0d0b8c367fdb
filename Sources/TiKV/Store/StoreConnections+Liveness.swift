// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import SwiftProtobuf
import Synchronization
import TiKVPD
import TiKVProto
import TiKVTransport

extension StoreConnections {
    /// The first pause between two looks at a store that does not answer; it doubles.
    private static let shortestPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(1)
    /// After so many looks PD is asked whether the store has moved.
    private static let looksBetweenChecks = 10

    /// Asks a store whether it serves, once for all that want to know it at the same time, and remembers the answer.
    nonisolated func probe(_ record: StoreRecord) async -> StoreLiveness {
        // Nobody would find out that it is back.
        guard self.probeTimeout > .zero else { return .unreachable }
        let deadline = Deadline(after: self.probeTimeout, from: self.clock.now)
        let found = try? await self.probes.run(record.id, deadline: deadline) { () async throws(TiKVError) in
            await self.ask(record)
        }
        guard let found else { return record.liveness }
        if found != record.liveness {
            self.logger.log(.info, "a store's liveness changed", [.store: record.id, .liveness: found])
            record.liveness = found
        }
        if found != .reachable { self.suspect(record) }
        return found
    }

    /// Has somebody look after a store that may not answer, unless somebody does.
    nonisolated func suspect(_ record: StoreRecord) {
        if self.watched.withLock({ $0.insert(record.id).inserted }) { self.watch(record.id) }
    }

    private nonisolated func ask(_ record: StoreRecord) async -> StoreLiveness {
        guard let handle = record.lastHandle else { return .unreachable }
        do throws(RPCError) {
            let answer = try await handle.channel.unary(
                HealthRPC.check, .init(), options: CallOptions(timeout: self.probeTimeout))
            return answer.value == HealthRPC.serving ? .reachable : .unknown
        } catch {
            // A cancelled caller has found out nothing.
            if Task.isCancelled { return record.liveness }
            // A server without this service is one that answers.
            return error.delivery == .answered && error.code == .unimplemented ? .reachable : .unreachable
        }
    }

    /// Looks at a store again and again until it answers, or is gone; asks PD now and then whether it has moved. Ends with
    /// its task.
    nonisolated func lookAfter(_ id: UInt64) async {
        let record = self.record(id)
        await self.lookAfter(record)
        self.letGo(of: record)
    }

    /// Nobody looks after a store any more.
    nonisolated func letGo(of record: StoreRecord) {
        _ = self.watched.withLock { $0.remove(record.id) }
        // It may have failed again after the last look, when there still was somebody who looked after it.
        if record.liveness != .reachable, !record.resolveState.isGone, !Task.isCancelled { self.suspect(record) }
    }

    private nonisolated func lookAfter(_ record: StoreRecord) async {
        var pause = Self.shortestPause
        var looks = 0
        while !Task.isCancelled {
            do throws(CancellationError) {
                try await self.clock.sleep(until: self.clock.now.advanced(by: pause))
            } catch {
                return
            }
            looks += 1
            pause = min(Self.longestPause, pause * 2)
            if looks % Self.looksBetweenChecks == 1 || record.resolveState == .needsCheck {
                await self.check(record)
            }
            if record.resolveState.isGone { return }
            if await self.probe(record) == .reachable { return }
        }
    }

    /// Asks PD where a store is; what is known stays where PD does not answer.
    nonisolated func check(_ record: StoreRecord) async {
        let deadline = Deadline(after: .seconds(5), from: self.clock.now)
        do throws(TiKVError) {
            _ = try await self.resolve(record.id, deadline: deadline)
        } catch {
            self.logger.log(.debug, "PD did not say where a store is", [.store: record.id, .error: error.code])
        }
    }

    /// Asks PD about all stores that are known, one after the other: they may have moved, have other labels, or be gone.
    nonisolated func refresh() async {
        for record in self.known where !record.resolveState.isGone && record.resolveState != .unresolved {
            if Task.isCancelled { return }
            await self.check(record)
        }
    }

    /// To be called about once a second: slow scores are brought up to date, and stores that were slow and say nothing are
    /// asked.
    nonisolated func tick() async {
        let now = self.clock.now
        for record in self.known where record.tick(at: now) && record.liveness == .reachable {
            await self.askForHealth(record)
        }
    }

    /// Asks a store how it does.
    nonisolated func askForHealth(_ record: StoreRecord) async {
        guard let handle = record.lastHandle else { return }
        do throws(RPCError) {
            let answer = try await handle.channel.unary(
                TikvpbTikvRPC.getHealthFeedback, .init(), options: CallOptions(timeout: .seconds(2)))
            guard answer.hasHealthFeedback else { return }
            let feedback = answer.healthFeedback
            self.receive(
                storeID: feedback.storeID == 0 ? record.id : feedback.storeID, score: feedback.slowScore,
                sequence: feedback.feedbackSeqNo)
        } catch {
            self.logger.log(.debug, "a store did not say how it does", [.store: record.id, .error: "\(error.code)"])
        }
    }

    /// Takes in what a store says of itself. What is said of stores that nobody has heard of is not kept.
    nonisolated func receive(storeID: UInt64, score: Int32, sequence: UInt64) {
        self.knownRecord(storeID)?.feedback(score: score, sequence: sequence, at: self.clock.now)
    }
}

extension StoreLiveness: CustomStringConvertible {
    var description: String {
        switch self {
        case .reachable: "reachable"
        case .unreachable: "unreachable"
        case .unknown: "unknown"
        }
    }
}
