// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// Times that requests took in stores.
public struct TimeDetail: Sendable, Hashable {
    /// Working on the request.
    public var process = Duration.zero
    /// Set aside in favour of others, while it was worked on.
    public var suspend = Duration.zero
    /// Waiting to be worked on.
    public var wait = Duration.zero
    /// Reading from the engine.
    public var read = Duration.zero
    /// In the store's gRPC threads.
    public var grpcProcess = Duration.zero
    /// Waiting for the store's gRPC threads.
    public var grpcWait = Duration.zero
    /// From the request's arrival at the store to the answer.
    public var total = Duration.zero

    /// Nothing yet.
    public init() {}

    init(_ times: Kvrpcpb_TimeDetailV2) {
        self.wait = .nanoseconds(times.waitWallTimeNs)
        self.process = .nanoseconds(times.processWallTimeNs)
        self.suspend = .nanoseconds(times.processSuspendWallTimeNs)
        self.read = .nanoseconds(times.kvReadWallTimeNs)
        self.grpcProcess = .nanoseconds(times.kvGrpcProcessTimeNs)
        self.grpcWait = .nanoseconds(times.kvGrpcWaitTimeNs)
        self.total = .nanoseconds(times.totalRpcWallTimeNs)
    }

    /// Of a store that knows milliseconds only.
    init(_ times: Kvrpcpb_TimeDetail) {
        self.wait = .milliseconds(Int64(clamping: times.waitWallTimeMs))
        self.process = .milliseconds(Int64(clamping: times.processWallTimeMs))
        self.read = .milliseconds(Int64(clamping: times.kvReadWallTimeMs))
        self.total = .nanoseconds(times.totalRpcWallTimeNs)
    }

    /// Adds those of another answer.
    public mutating func merge(_ other: TimeDetail) {
        self.process += other.process
        self.suspend += other.suspend
        self.wait += other.wait
        self.read += other.read
        self.grpcProcess += other.grpcProcess
        self.grpcWait += other.grpcWait
        self.total += other.total
    }
}

extension TimeDetail: CustomStringConvertible {
    /// What is not zero, by TiKV's names and with units.
    public var description: String {
        var text = DetailText()
        text.add("total_process_time", self.process)
        text.add("total_suspend_time", self.suspend)
        text.add("total_wait_time", self.wait)
        text.add("total_kv_read_wall_time", self.read)
        text.add("tikv_grpc_process_time", self.grpcProcess)
        text.add("tikv_grpc_wait_time", self.grpcWait)
        text.add("tikv_wall_time", self.total)
        return text.text
    }
}
