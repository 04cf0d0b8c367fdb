// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What happened, in order, written by whoever does it.
final class EventLog<Element: Sendable>: Sendable {
    private let elements: Mutex<[Element]>

    init() { self.elements = Mutex([]) }

    var all: [Element] { self.elements.withLock { $0 } }

    func append(_ element: Element) { self.elements.withLock { $0.append(element) } }
}
