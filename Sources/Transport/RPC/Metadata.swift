// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The names and values that travel beside messages: gRPC's custom metadata.
///
/// Names are lower case. A name that ends in `-bin` has a binary value, which the wire carries in base64.
package struct Metadata: Sendable, Equatable {
    /// Name and value in the order they were added; a name may occur more than once.
    package private(set) var fields: [(name: String, value: String)]

    package init() {
        self.fields = []
    }

    package var isEmpty: Bool { self.fields.isEmpty }

    /// Adds a text value. The name is made lower case, as HTTP/2 demands.
    package mutating func add(_ value: String, for name: String) {
        self.fields.append((name.lowercased(), value))
    }

    /// Adds bytes under a name that ends in `-bin`; the suffix is added where it lacks.
    package mutating func add(binary value: some Sequence<UInt8>, for name: String) {
        let name = name.lowercased()
        self.fields.append((name.hasSuffix("-bin") ? name : name + "-bin", Base64.encode(value)))
    }

    /// The first text value of this name.
    package func first(_ name: String) -> String? {
        self.fields.first { $0.name == name }?.value
    }

    /// Every text value of this name, in order.
    package func all(_ name: String) -> [String] {
        self.fields.lazy.filter { $0.name == name }.map(\.value)
    }

    /// Every binary value of this name; values that are not base64 are left out. A peer may join several by commas.
    package func allBinary(_ name: String) -> [[UInt8]] {
        self.all(name).flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }.compactMap { part in
            Base64.decode(part.drop { $0 == " " }.utf8)
        }
    }

    package static func == (lhs: Metadata, rhs: Metadata) -> Bool {
        lhs.fields.elementsEqual(rhs.fields) { $0.name == $1.name && $0.value == $1.value }
    }
}

extension Metadata: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, String)...) {
        self.init()
        for (name, value) in elements { self.add(value, for: name) }
    }
}
