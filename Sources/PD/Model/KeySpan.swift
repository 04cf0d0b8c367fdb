// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Keys from `start` up to, not including, `end`; an empty end stands for the end of all keys.
package struct KeySpan: Sendable, Hashable {
    package var start: [UInt8]
    package var end: [UInt8]

    package init(start: [UInt8], end: [UInt8]) {
        self.start = start
        self.end = end
    }
}
