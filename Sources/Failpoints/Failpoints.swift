// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Named places where a test makes the client fail. There is none yet.
///
/// They exist in builds with `-Xswiftc -DFAILPOINTS` only; in all others a call to one compiles to nothing.
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
