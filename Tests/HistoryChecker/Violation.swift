// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Why a history is not one of snapshot isolation. The names are those of Adya and of Cerone and Gotsman.
package enum Violation: Sendable, Hashable {
    /// A committed transaction saw a write of one that was rolled back (G1a).
    case dirtyRead(reader: Int, writer: Int)
    /// A committed transaction saw a write that its writer replaced before it committed (G1b).
    case intermediateRead(reader: Int, writer: Int)
    /// A transaction saw what no transaction wrote.
    case phantomValue(reader: Int, key: String, value: Int)
    /// Two reads of a list differ in the order of its elements, or an element is there twice.
    case incompatibleOrder(key: String)
    /// A transaction did not see its own writes, or two reads of the same key differ.
    case inconsistentWithItself(Int)
    /// Writes follow each other in a circle (G0).
    case writeCycle([Int])
    /// Writes and reads of writes follow each other in a circle (G1c).
    case informationCycle([Int])
    /// A circle with one read of what the next one has overwritten (G-single): a lost update, or a read of half a
    /// transaction.
    case singleAntiDependency([Int])
    /// A circle with several such reads, no two of them in a row: a long fork, for one. Two in a row are write skew, which
    /// snapshot isolation allows.
    case nonadjacentAntiDependencies([Int])
}
