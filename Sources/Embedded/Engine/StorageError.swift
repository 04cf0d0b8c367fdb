// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Why a store did not do what a request asked for.
enum StorageError: Error, Sendable {
    /// The request went to the wrong place; the client should look again and repeat it.
    case region(RegionError)
    /// The request itself is at fault; the text is TiKV's.
    case request(String)
}
