// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The three column families in which API V1 lets raw requests work.
enum ColumnFamily: Int, CaseIterable, Sendable {
    case `default`
    case lock
    case write

    /// The name on the wire; no name is the default family.
    init(name: String) throws(StorageError) {
        switch name {
        case "", "default": self = .default
        case "lock": self = .lock
        case "write": self = .write
        default: throw .request("invalid cf name: \(name)")
        }
    }
}
