// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Header fields on their way out, kept as bytes in one buffer so that building a list allocates nothing once it has
/// its capacity.
package struct HeaderList: Sendable {
    struct Field: Sendable {
        var nameLength: Int
        var valueLength: Int
        /// Values that differ from call to call would push the useful entries out of HPACK's table.
        var indexed: Bool
    }

    private(set) var bytes: [UInt8] = []
    private(set) var fields: [Field] = []

    package init() {}

    package mutating func add(_ name: String, _ value: String, indexed: Bool = true) {
        self.bytes.append(contentsOf: name.utf8)
        self.bytes.append(contentsOf: value.utf8)
        self.fields.append(Field(nameLength: name.utf8.count, valueLength: value.utf8.count, indexed: indexed))
    }

    package mutating func add(_ name: String, ascii value: some Collection<UInt8>, indexed: Bool = true) {
        self.bytes.append(contentsOf: name.utf8)
        self.bytes.append(contentsOf: value)
        self.fields.append(Field(nameLength: name.utf8.count, valueLength: value.count, indexed: indexed))
    }

    package mutating func add(_ metadata: Metadata) {
        for field in metadata.fields { self.add(field.name, field.value, indexed: false) }
    }

    package mutating func removeAll() {
        self.bytes.removeAll(keepingCapacity: true)
        self.fields.removeAll(keepingCapacity: true)
    }
}
