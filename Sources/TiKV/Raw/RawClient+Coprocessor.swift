// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a coprocessor plugin answered for one region.
public struct RawCoprocessorAnswer: Sendable, Hashable {
    /// The parts of the call's ranges that are in the region.
    public var ranges: [KeyRange]
    /// What the plugin answered.
    public var data: [UInt8]

    /// An answer.
    public init(ranges: [KeyRange], data: [UInt8]) {
        self.ranges = ranges
        self.data = data
    }
}

extension RawClient {
    /// Has a coprocessor plugin of the stores work on ranges of keys, region by region.
    ///
    /// A plugin is a library that TiKV loads (`coprocessor-v2.coprocessor-plugin-directory`).
    ///
    /// - Parameters:
    ///   - plugin: its name.
    ///   - version: which versions of it will do, as a requirement in Cargo's notation: `^1.2`, or `*` for any.
    ///   - ranges: the keys to work on; one whose end lies before its start is an error. Those that overlap are worked on
    ///     once for each.
    ///   - isReadOnly: whether the plugin changes nothing, so that a request may be sent again where its answer was lost.
    ///     By default it may change something: then such a request fails with ``TiKVError/Code/undetermined``.
    ///   - timeout: the time for all of the call; the client's own by default.
    ///   - request: makes the request for a region, by its id and its parts of the ranges. It runs once more for each time
    ///     that a request must be made anew since the regions have changed.
    /// - Returns: the answers, in the order of the regions' keys.
    /// - Throws: ``TiKVError``; ``TiKVError/Code/serverError`` where there is no such plugin, or it failed.
    public func coprocessor(
        _ plugin: String, version: String = "*", ranges: [KeyRange], isReadOnly: Bool = false,
        timeout: Duration? = nil, request: @escaping @Sendable (_ regionID: UInt64, _ ranges: [KeyRange]) -> [UInt8]
    ) async throws(TiKVError) -> [RawCoprocessorAnswer] {
        for range in ranges { try Self.validate(range) }
        let spans = ranges.filter { !$0.isEmpty }.sorted { $0.start < $1.start }
            .map { KeySpan(start: $0.start.bytes, end: $0.end.bytes) }
        guard !spans.isEmpty else { return [] }
        let sender = self.core.sender
        var answers: [(start: Key, answer: RawCoprocessorAnswer)] = []
        try await sender.scatter(
            spans, timeout: self.timeout(timeout), isWrite: !isReadOnly, isRepeatable: isReadOnly,
            concurrency: self.configuration.maximumConcurrency,
            split: { spans, call async throws(TiKVError) in try await Self.group(spans, sender, &call) },
            deliver: { spans, region, call async throws(TiKVError) -> (Key, RawCoprocessorAnswer)? in
                let ranges = spans.map { KeyRange(start: Key($0.start), end: Key($0.end)) }
                var message = Kvrpcpb_RawCoprocessorRequest()
                message.coprName = plugin
                message.coprVersionReq = version
                message.ranges = spans.map { span in
                    var range = Kvrpcpb_KeyRange()
                    range.startKey = Data(span.start)
                    range.endKey = Data(span.end)
                    return range
                }
                message.data = Data(request(region.id, ranges))
                guard
                    let response = try await sender.deliver(
                        TikvpbTikvRPC.rawCoprocessor, &message, to: region, &call)
                else { return nil }
                try Self.check(response)
                return (Key(region.startKey), RawCoprocessorAnswer(ranges: ranges, data: [UInt8](response.data)))
            },
            collect: { answers.append(($0.0, $0.1)) })
        return answers.sorted { $0.start < $1.start }.map(\.answer)
    }

    /// The parts of several spans by the regions that they are in.
    private static func group(
        _ spans: [KeySpan], _ sender: RegionRequestSender, _ call: inout RegionCall
    ) async throws(TiKVError) -> [(region: CachedRegion, work: [KeySpan])] {
        var grouped: [(region: CachedRegion, work: [KeySpan])] = []
        for span in spans {
            for (region, part) in try await sender.regions(of: span, &call) {
                if let known = grouped.firstIndex(where: { $0.region === region }) {
                    grouped[known].work.append(part)
                } else {
                    grouped.append((region: region, work: [part]))
                }
            }
        }
        return grouped
    }
}
