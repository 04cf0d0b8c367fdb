// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// What a request has cost, as its answer says.
struct ResponseCost: Sendable, Hashable {
    var readBytes: UInt64 = 0
    var processorTime = Duration.zero
    /// Whether the request did what it was for.
    var isSuccess = true

    init(readBytes: UInt64 = 0, processorTime: Duration = .zero, isSuccess: Bool = true) {
        self.readBytes = readBytes
        self.processorTime = processorTime
        self.isSuccess = isSuccess
    }

    /// - Parameter isNextGeneration: whether the stores charge for all versions that they come across, and not for those
    ///   alone that count.
    init(_ response: some RegionResponse, isNextGeneration: Bool = false) {
        self.isSuccess = !response.hasRegionError
        guard let answer = response as? Coprocessor_Response else {
            if let details = Self.details(of: response) { self.add(details, isNextGeneration) }
            return
        }
        if answer.hasExecDetailsV2, answer.execDetailsV2.hasScanDetailV2 {
            self.add(answer.execDetailsV2, isNextGeneration)
        } else {
            self.readBytes += UInt64(answer.data.count)
            if answer.hasExecDetailsV2 {
                self.add(answer.execDetailsV2, isNextGeneration)
            } else if answer.hasExecDetails {
                self.processorTime += .milliseconds(
                    Int64(clamping: answer.execDetails.timeDetail.processWallTimeMs))
            }
        }
        for task in answer.batchResponses {
            if !task.hasExecDetailsV2 || !task.execDetailsV2.hasScanDetailV2 {
                self.readBytes += UInt64(task.data.count)
            }
            if task.hasExecDetailsV2 { self.add(task.execDetailsV2, isNextGeneration) }
        }
    }

    private mutating func add(_ details: Kvrpcpb_ExecDetailsV2, _ isNextGeneration: Bool) {
        let scan = details.scanDetailV2
        self.readBytes +=
            isNextGeneration
            ? max(scan.totalVersionsSize, scan.processedVersionsSize) : scan.processedVersionsSize
        if details.hasTimeDetailV2 {
            self.processorTime += .nanoseconds(Int64(clamping: details.timeDetailV2.processWallTimeNs))
        } else if details.hasTimeDetail {
            self.processorTime += .milliseconds(Int64(clamping: details.timeDetail.processWallTimeMs))
        }
    }

    /// What an answer says that it cost; nil where it says nothing.
    static func details(of response: some RegionResponse) -> Kvrpcpb_ExecDetailsV2? {
        switch response {
        case let response as Kvrpcpb_GetResponse: response.hasExecDetailsV2 ? response.execDetailsV2 : nil
        case let response as Kvrpcpb_BatchGetResponse: response.hasExecDetailsV2 ? response.execDetailsV2 : nil
        case let response as Kvrpcpb_PrewriteResponse: response.hasExecDetailsV2 ? response.execDetailsV2 : nil
        case let response as Kvrpcpb_CommitResponse: response.hasExecDetailsV2 ? response.execDetailsV2 : nil
        case let response as Kvrpcpb_PessimisticLockResponse:
            response.hasExecDetailsV2 ? response.execDetailsV2 : nil
        case let response as Coprocessor_Response: response.hasExecDetailsV2 ? response.execDetailsV2 : nil
        default: nil
        }
    }
}
