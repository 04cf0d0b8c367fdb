// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension ClientConfiguration {
    /// Sharing the cluster's capacity among resource groups.
    public struct ResourceControl: Sendable {
        /// The group of requests for which ``withResourceGroup(_:operation:)`` names none; empty, the default, for none.
        /// Stores are told it in any case.
        public var group: String

        /// Whether this client holds requests of a group back until PD has given it the tokens for them; default false.
        /// All clients of a group should do so, as the group's share is what they use together.
        public var isEnabled: Bool

        /// How long a request may be held back; default 30 s. One that would wait longer fails with
        /// ``TiKVError/Code/resourceGroupThrottled``, after another second.
        public var maximumWait: Duration

        /// Settings; what is not named has its default.
        public init(group: String = "", isEnabled: Bool = false, maximumWait: Duration = .seconds(30)) {
            self.group = group
            self.isEnabled = isEnabled
            self.maximumWait = maximumWait
        }
    }
}
