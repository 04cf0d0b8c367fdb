// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What PD says over HTTP alone.
extension PDClient {
    /// Sends a request to one member: an HTTP client, or a stand-in in tests.
    package typealias HTTPSender =
        @Sendable (HTTP1Request, PeerAddress, Duration) async throws(RPCError) -> HTTP1Response

    /// How far the stores are.
    ///
    /// - Parameter stores: those to be told one by one; where empty, only the cluster's minimum is.
    package nonisolated func minimumResolvedTimestamps(
        ofStores stores: [UInt64] = [], deadline: Deadline
    ) async throws(PDError) -> MinimumResolvedTimestamps {
        let scope = stores.isEmpty ? "" : "?scope=\(stores.map { "\($0)" }.joined(separator: ","))"
        let answer: MinimumAnswer = try await self.get("/pd/api/v1/min-resolved-ts\(scope)", deadline: deadline)
        let pairs = (answer.storesMinResolvedTs ?? [:]).compactMap { key, value in
            UInt64(key).map { ($0, Timestamp(rawValue: value)) }
        }
        return MinimumResolvedTimestamps(
            minimum: Timestamp(rawValue: answer.minResolvedTs), stores: Dictionary(pairs) { first, _ in first })
    }

    /// What PD knows of the load of all stores.
    package nonisolated func storeStatuses(deadline: Deadline) async throws(PDError) -> [StoreStatus] {
        let answer: StoresAnswer = try await self.get("/pd/api/v1/stores", deadline: deadline)
        return answer.stores.map { StoreStatus($0) }
    }

    /// What PD knows of the load of a store.
    package nonisolated func storeStatus(id: UInt64, deadline: Deadline) async throws(PDError) -> StoreStatus {
        let answer: StoreAnswer = try await self.get("/pd/api/v1/store/\(id)", deadline: deadline)
        return StoreStatus(answer)
    }

    /// What PD knows of the load of a region; nil where there is none of this id.
    package nonisolated func regionStatus(id: UInt64, deadline: Deadline) async throws(PDError) -> RegionStatus? {
        let answer: RegionAnswer? = try await self.get("/pd/api/v1/region/id/\(id)", deadline: deadline)
        return answer.flatMap { RegionStatus($0) }
    }

    /// What PD knows of the load of the region that holds a key; nil where it knows none.
    package nonisolated func regionStatus(
        for key: [UInt8], deadline: Deadline
    ) async throws(PDError) -> RegionStatus? {
        let path = "/pd/api/v1/region/key/\(HTTP1Request.encode(key))"
        let answer: RegionAnswer? = try await self.get(path, deadline: deadline)
        return answer.flatMap { RegionStatus($0) }
    }

    /// PD's configuration, or a part of it, as JSON.
    ///
    /// - Parameter section: `schedule` or `replicate`; nil is all of it.
    package nonisolated func configuration(
        section: String? = nil, deadline: Deadline
    ) async throws(PDError) -> [UInt8] {
        try await self.fetch(
            HTTP1Request(target: "/pd/api/v1/config\(section.map { "/\($0)" } ?? "")"), deadline: deadline)
    }

    /// The version that all stores of the cluster have at least.
    package nonisolated func clusterVersion(deadline: Deadline) async throws(PDError) -> String {
        try await self.get("/pd/api/v1/config/cluster-version", deadline: deadline)
    }

    // MARK: - Requests

    private nonisolated func get<Answer: Decodable>(
        _ target: String, deadline: Deadline
    ) async throws(PDError) -> Answer {
        let body = try await self.fetch(HTTP1Request(target: target), deadline: deadline)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(Answer.self, from: Data(body))
        } catch {
            throw PDError(.server, "PD's answer over HTTP cannot be read", detail: "\(target): \(error)")
        }
    }

    /// Asks the leader first, then the other members, which pass the question on; again and again until one of them
    /// answers or the time is over.
    private nonisolated func fetch(_ request: HTTP1Request, deadline: Deadline) async throws(PDError) -> [UInt8] {
        guard let send = self.sendHTTP else {
            throw PDError(.unimplemented, "this client does not speak HTTP")
        }
        var attempts = PDAttempts()
        var backoff = Backoff()
        while true {
            let target = try await self.target(deadline: deadline, attempts: &attempts)
            for address in await self.httpCandidates(target?.address) {
                let remaining = deadline.remaining(at: self.clock.now)
                guard remaining > .zero else { throw attempts.expired() }
                do throws(RPCError) {
                    let response = try await send(request, address, min(self.configuration.requestTimeout, remaining))
                    switch response.status {
                    case 200..<300:
                        return response.body
                    case 400..<500:
                        throw PDHTTPRefusal.error(response)
                    default:
                        attempts.record(address, "HTTP status \(response.status)")
                    }
                } catch {
                    if Task.isCancelled { throw PDError(.cancelled, "cancelled while waiting for PD") }
                    if error.code == .failedPrecondition {
                        throw PDError(.server, "PD refused the request over HTTP", detail: error.message)
                    }
                    attempts.record(address, "\(error)", error.code == .deadlineExceeded ? .silence : .failure)
                }
            }
            try await self.wait(&backoff, deadline: deadline, attempts: attempts)
        }
    }

    private func httpCandidates(_ leader: PeerAddress?) -> [PeerAddress] {
        (leader.map { [$0] } ?? []) + self.tracker.candidates.filter { $0 != leader }
    }
}

/// A refusal that no other member would take back.
private enum PDHTTPRefusal {
    static func error(_ response: HTTP1Response) -> RPCError {
        RPCError(
            .failedPrecondition, "status \(response.status): \(String(decoding: response.body, as: UTF8.self))",
            delivery: .answered)
    }
}

// The names of the fields are PD's, which has them in snake case.

private struct MinimumAnswer: Decodable {
    var minResolvedTs: UInt64
    var storesMinResolvedTs: [String: UInt64]?
}

private struct StoresAnswer: Decodable {
    var stores: [StoreAnswer]
}

private struct StoreAnswer: Decodable {
    struct Label: Decodable {
        var key: String
        var value: String
    }

    struct Store: Decodable {
        var id: UInt64
        var address: String
        var version: String?
        var stateName: String?
        var labels: [Label]?
    }

    struct Status: Decodable {
        var leaderCount: Int?
        var regionCount: Int?
    }

    var store: Store
    var status: Status?
}

private struct RegionAnswer: Decodable {
    struct Peer: Decodable {
        var storeId: UInt64?
    }

    var id: UInt64?
    var startKey: String?
    var endKey: String?
    var peers: [Peer]?
    var leader: Peer?
    var approximateSize: Int64?
    var approximateKeys: Int64?
}

extension StoreStatus {
    fileprivate init(_ answer: StoreAnswer) {
        self.init(
            id: answer.store.id, address: answer.store.address, state: answer.store.stateName ?? "",
            version: answer.store.version ?? "",
            labels: Dictionary((answer.store.labels ?? []).map { ($0.key, $0.value) }) { first, _ in first },
            leaderCount: answer.status?.leaderCount ?? 0, regionCount: answer.status?.regionCount ?? 0)
    }
}

extension RegionStatus {
    fileprivate init?(_ answer: RegionAnswer) {
        guard let id = answer.id, id != 0 else { return nil }
        self.init(
            id: id, startKey: answer.startKey ?? "", endKey: answer.endKey ?? "",
            leaderStoreID: answer.leader?.storeId, peerStoreIDs: (answer.peers ?? []).compactMap(\.storeId),
            approximateSize: answer.approximateSize ?? 0, approximateKeys: answer.approximateKeys ?? 0)
    }
}
