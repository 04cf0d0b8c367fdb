// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a buffer knows of a key.
package enum BufferedValue: Sendable, Hashable {
    case put([UInt8])
    case delete

    /// The value; nil of a delete.
    package var bytes: [UInt8]? {
        switch self {
        case .put(let bytes): bytes
        case .delete: nil
        }
    }
}

/// A key of a buffer.
package struct BufferEntry: Sendable, Hashable {
    package var key: [UInt8]
    /// Nil where the key has flags only.
    package var value: BufferedValue?
    package var flags: KeyFlags

    package init(key: [UInt8], value: BufferedValue?, flags: KeyFlags) {
        self.key = key
        self.value = value
        self.flags = flags
    }
}
