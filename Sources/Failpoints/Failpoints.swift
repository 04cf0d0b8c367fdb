// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What is the same for all failpoints.
package enum Failpoints {
    /// Whether this build has them.
    package static var areCompiledIn: Bool {
        #if FAILPOINTS
        true
        #else
        false
        #endif
    }
}
