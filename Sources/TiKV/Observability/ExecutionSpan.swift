// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A stage of a request's work in a store, as a tracer shows it: with a name, a beginning and a length.
public struct ExecutionSpan: Sendable, Hashable {
    /// What it is called in TiKV's traces, such as `tikv.Process`.
    public var name: String
    /// When it began, counted from the moment at which the store had received the request.
    public var start: Duration
    /// How long it took.
    public var duration: Duration
    /// The stages that it consists of, in the order of time.
    public var children: [ExecutionSpan]

    /// - Parameters:
    ///   - name: what it is called.
    ///   - start: when it began, counted from the request's arrival.
    ///   - duration: how long it took.
    ///   - children: the stages that it consists of.
    public init(name: String, start: Duration, duration: Duration, children: [ExecutionSpan] = []) {
        self.name = name
        self.start = start
        self.duration = duration
        self.children = children
    }

    /// When it ended.
    public var end: Duration { self.start + self.duration }
}

extension ExecutionDetails {
    /// The stages of one answer's work, nested and in the order of time; empty where the store has not said how long the
    /// request took. Of details that were summed up over several answers it shows the sums, as if all had been one request.
    ///
    /// A store tells how long each stage took and not when it began: those that follow each other are laid end to end. Writing
    /// the raft log goes on beside committing it, so what follows begins with it and not after it.
    public var spans: [ExecutionSpan] {
        guard self.time.total > .zero else { return [] }
        let request = Stage(
            "tikv.RPC", self.time.total,
            [
                Stage("tikv.Wait", self.time.wait, [Stage("tikv.GetSnapshot", self.scan.snapshotTime)]),
                Stage("tikv.Process", self.time.process, [Stage("tikv.RocksDBBlockRead", self.scan.readBlockTime)]),
                Stage("tikv.Suspend", self.time.suspend),
                self.write.stages,
            ])
        return request.laidOut(at: .zero).map { [$0] } ?? []
    }
}

extension WriteDetail {
    fileprivate var stages: Stage {
        Stage(
            "tikv.AsyncWrite", nil,
            [
                Stage("tikv.StoreBatchWait", self.storeBatchWait),
                Stage("tikv.ProposeSendWait", self.proposeSendWait),
                Stage(
                    "tikv.PersistLog", self.persistLog,
                    [
                        Stage("tikv.RaftDBWriteWait", self.raftDBWriteLeaderWait),
                        Stage("tikv.RaftDBWriteWAL", self.raftDBSyncLog),
                        Stage("tikv.RaftDBWriteMemtable", self.raftDBWriteMemtable),
                    ], isBeside: true),
                Stage("tikv.CommitLog", self.commitLog),
                Stage("tikv.ApplyBatchWait", self.applyBatchWait),
                Stage(
                    "tikv.ApplyLog", self.applyLog,
                    [
                        Stage("tikv.ApplyMutexLock", self.applyMutexLock),
                        Stage("tikv.ApplyWriteLeaderWait", self.applyWriteLeaderWait),
                        Stage("tikv.ApplyWriteWAL", self.applyWriteWAL),
                        Stage("tikv.ApplyWriteMemtable", self.applyWriteMemtable),
                    ]),
            ])
    }
}

/// A stage that has not been given its place in time.
private struct Stage {
    var name: String
    /// Nil where it takes as long as what it consists of.
    var duration: Duration?
    var children: [Stage]
    /// What follows does not wait for it.
    var isBeside: Bool

    init(_ name: String, _ duration: Duration?, _ children: [Stage] = [], isBeside: Bool = false) {
        self.name = name
        self.duration = duration
        self.children = children
        self.isBeside = isBeside
    }

    /// Nil where it took no time.
    func laidOut(at start: Duration) -> ExecutionSpan? {
        var spans: [ExecutionSpan] = []
        var next = start
        for child in self.children {
            guard let span = child.laidOut(at: next) else { continue }
            spans.append(span)
            if !child.isBeside { next = span.end }
        }
        let duration = self.duration ?? ((spans.map(\.end).max() ?? start) - start)
        guard duration > .zero else { return nil }
        return ExecutionSpan(name: self.name, start: start, duration: duration, children: spans)
    }
}
