// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How commands to a store are put together into messages of a `BatchCommands` stream.
///
/// Whatever is asked for within one turn of the connection's event loop goes in one message: by default nothing waits for
/// company, and under load the turns themselves grow.
package struct BatchConfiguration: Sendable {
    /// The most commands in one message.
    package var maxBatchSize: Int
    /// A message takes no further command when it has this many bytes; a command that alone has more goes as a call of its
    /// own.
    package var maxBatchBytes: Int
    /// The most commands of ordinary priority that may be without an answer at once; the rest waits.
    package var maxInFlight: Int
    /// Whether commands wait for others.
    package var policy: BatchPolicy
    /// Waiting for others where the server says that its load is high.
    package var overload: Overload

    package struct Overload: Sendable, Equatable {
        /// CPU load of the server's gRPC threads, in percent of one core, above which commands wait.
        package var threshold: UInt64
        /// The longest wait; zero is none.
        package var wait: Duration
        /// Commands that are enough to go.
        package var commands: Int

        package init(threshold: UInt64 = 200, wait: Duration = .zero, commands: Int = 8) {
            self.threshold = threshold
            self.wait = wait
            self.commands = commands
        }
    }

    package init(
        maxBatchSize: Int = 128, maxBatchBytes: Int = 1 << 20, maxInFlight: Int = .max, policy: BatchPolicy = .basic,
        overload: Overload = .init()
    ) {
        self.policy = policy
        self.overload = overload
        self.maxBatchBytes = maxBatchBytes
        self.maxBatchSize = maxBatchSize
        self.maxInFlight = maxInFlight
    }
}

/// What a store says about itself beside its answers.
package struct StoreFeedback: Sendable, Equatable {
    /// CPU load of the store's gRPC threads in percent of one core; 0 where it does not tell.
    package var transportLayerLoad: UInt64
    package var health: Health?

    package struct Health: Sendable, Equatable {
        package var storeID: UInt64
        /// Grows with each report; an older one than known is to be ignored.
        package var sequence: UInt64
        /// 1 (healthy) to 100 (slow).
        package var slowScore: Int32

        package init(storeID: UInt64, sequence: UInt64, slowScore: Int32) {
            self.storeID = storeID
            self.sequence = sequence
            self.slowScore = slowScore
        }
    }

    package init(transportLayerLoad: UInt64, health: Health?) {
        self.transportLayerLoad = transportLayerLoad
        self.health = health
    }
}
