// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVOrderedMap
import TiKVPD

@testable import TiKV

/// A PD whose knowledge a test sets.
final class ModelRegions: RegionSource {
    struct State {
        var regions: [RegionDescription] = []
        var stores: [UInt64: StoreDescription] = [:]
        var failure: PDError?
        var clusterID: UInt64 = 7
        /// What PD's followers say, where it is not what the leader says.
        var late: [RegionDescription]?
        /// What happens while PD is asked.
        var onQuestion: (@Sendable () -> Void)?
        /// It never answers: whoever asks learns so when the time that it gave is over.
        var silence: (@Sendable (Deadline) -> Void)?
        /// What was asked, in order.
        var questions: [String] = []
    }

    private let state: Mutex<State>

    init(_ regions: [RegionDescription], stores: [UInt64] = [1, 2, 3]) {
        var state = State()
        state.regions = regions
        for id in stores { state.stores[id] = StoreDescription(id: id, address: "store\(id):20160") }
        self.state = Mutex(state)
    }

    var questions: [String] { self.state.withLock { $0.questions } }

    func change(_ body: @Sendable (inout State) -> Void) {
        self.state.withLock { body(&$0) }
    }

    private func ask<Answer: Sendable>(
        _ question: String, _ deadline: Deadline, _ body: @Sendable (State) -> Answer
    ) throws(PDError) -> Answer {
        let (answer, failure, onQuestion, silence) = self.state.withLock { state in
            state.questions.append(question)
            return (body(state), state.failure, state.onQuestion, state.silence)
        }
        onQuestion?()
        if let silence {
            silence(deadline)
            throw PDError(.deadlineExceeded, "PD says nothing")
        }
        if let failure { throw failure }
        return answer
    }

    var hasFollowers: Bool { self.state.withLock { $0.late != nil } }

    func currentClusterID() async -> UInt64? { self.state.withLock { $0.clusterID } }

    func region(
        for key: [UInt8], fromLeader: Bool, deadline: Deadline
    ) async throws(PDError) -> RegionDescription? {
        try self.ask("region", deadline) { state in
            ((fromLeader ? nil : state.late) ?? state.regions).first {
                !KeyOrder.isLess(key, $0.startKey) && ($0.endKey.isEmpty || KeyOrder.isLess(key, $0.endKey))
            }
        }
    }

    func region(id: UInt64, deadline: Deadline) async throws(PDError) -> RegionDescription? {
        try self.ask("id \(id)", deadline) { state in state.regions.first { $0.id == id } }
    }

    func batchScanRegions(
        _ spans: [KeySpan], limit: Int, deadline: Deadline
    ) async throws(PDError) -> [RegionDescription] {
        try self.ask("batch \(spans.count)", deadline) { state in
            Array(
                state.regions.filter { region in
                    spans.contains { span in
                        (span.end.isEmpty || KeyOrder.isLess(region.startKey, span.end))
                            && (region.endKey.isEmpty || KeyOrder.isLess(span.start, region.endKey))
                    }
                }.prefix(limit))
        }
    }

    func previousRegion(
        for key: [UInt8], fromLeader: Bool, deadline: Deadline
    ) async throws(PDError) -> RegionDescription? {
        try self.ask("previous", deadline) { state in
            state.regions.last { !$0.endKey.isEmpty && !KeyOrder.isLess(key, $0.endKey) }
        }
    }

    func scanRegions(
        _ span: KeySpan, limit: Int, deadline: Deadline
    ) async throws(PDError) -> [RegionDescription] {
        try self.ask("scan", deadline) { state in
            Array(
                state.regions.filter {
                    (span.end.isEmpty || KeyOrder.isLess($0.startKey, span.end))
                        && ($0.endKey.isEmpty || KeyOrder.isLess(span.start, $0.endKey))
                }.prefix(limit))
        }
    }

    func store(id: UInt64, deadline: Deadline) async throws(PDError) -> StoreDescription? {
        try self.ask("store \(id)", deadline) { $0.stores[id] }
    }
}
