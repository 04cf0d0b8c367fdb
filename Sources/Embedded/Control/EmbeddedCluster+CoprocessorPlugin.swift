// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension EmbeddedCluster {
    /// Stands for a library that TiKV loads to answer raw coprocessor requests.
    public struct CoprocessorPlugin: Sendable {
        /// What a plugin is asked.
        public struct Request: Sendable {
            /// A key and its value, as stores have them.
            public typealias Pair = (key: [UInt8], value: [UInt8])

            /// The region that is asked.
            public let regionID: UInt64
            /// The keys to work on, from the first up to, not including, the second; all of them in the region. With API V2
            /// they begin with the keyspace's prefix.
            public let ranges: [(start: [UInt8], end: [UInt8])]
            /// The client's words to the plugin.
            public let data: [UInt8]
            let read: @Sendable () -> [Pair]

            /// What the ranges hold in the default column family, as of when the request came.
            public func pairs() -> [Pair] { self.read() }
        }

        /// What requests call it.
        public let name: String
        /// Its version, as `1.2.3`.
        public let version: String
        let handle: @Sendable (Request) throws -> [UInt8]

        /// A plugin.
        ///
        /// - Parameters:
        ///   - name: what requests call it.
        ///   - version: three numbers; requests name those that they can work with.
        ///   - handle: answers a request. What it throws becomes the answer's error, by its description.
        public init(
            name: String, version: String = "1.0.0", handle: @escaping @Sendable (Request) throws -> [UInt8]
        ) {
            self.name = name
            self.version = version
            self.handle = handle
        }
    }
}
