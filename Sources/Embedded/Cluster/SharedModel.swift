// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The model behind its lock, and the clock that the model itself does not read.
final class SharedModel: Sendable {
    private let state: Mutex<ClusterModel>
    /// Unix time in milliseconds.
    private let clock: @Sendable () -> UInt64
    private let hasTTL: Bool
    /// Those who wait for locks, and their time.
    let lockWaits = LockWaits()
    let waitClock: any WaitClock
    /// Requests that come a second time, later.
    let repeats = RequestRepeats()
    /// Raised by each change of what PD lets clients watch.
    let pdChanges = EventCounter()

    init(
        _ model: sending ClusterModel, clock: @escaping @Sendable () -> UInt64 = SharedModel.systemClock,
        waitClock: any WaitClock = SystemWaitClock()
    ) {
        self.waitClock = waitClock
        self.hasTTL = model.apiVersion.hasTTL
        self.state = Mutex(model)
        self.clock = clock
    }

    static func systemClock() -> UInt64 {
        UInt64(max(0, Date().timeIntervalSince1970 * 1000))
    }

    func withLock<Result, Failure: Error>(
        _ body: (inout sending ClusterModel) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        try self.state.withLock(body)
    }

    /// Unix time in milliseconds, before what a test added to it.
    var milliseconds: UInt64 { self.clock() }

    /// The same in seconds for entries that may expire; 0 where none can, so that the clock need not be read.
    var secondsForTTL: UInt64 { self.hasTTL ? self.clock() / 1000 : 0 }
}
