// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What kind of store a request is for.
enum StoreEngine: Sendable, Hashable {
    /// TiKV itself.
    case tikv
    /// The columnar engine beside it, whose peers are learners.
    case tiflash
}
