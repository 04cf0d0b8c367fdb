// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension EmbeddedCluster {
    /// Holds requests back until the test opens it. See ``Fault/hold(_:)``.
    public final class Gate: Sendable {
        private let arrivals = EventCounter()
        private let opening = EventCounter()

        /// A gate that is closed.
        public init() {}

        /// Lets go of everything that waits and of all that is still to come.
        public func open() {
            self.opening.add()
        }

        /// How many requests have come to the gate so far, gone on or not.
        public var arrivalCount: Int { self.arrivals.count }

        /// Returns when so many requests in all have come to the gate.
        ///
        /// Throws `CancellationError` when the task is cancelled before.
        public func waitForArrivals(_ count: Int = 1) async throws {
            try await self.arrivals.wait(for: count)
        }

        /// What a held request does.
        func pass() async throws {
            self.arrivals.add()
            try await self.opening.wait(for: 1)
        }
    }
}
