// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVFailpoints

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

@Suite struct BuildTests {
    /// `make test` runs this in both builds. A flag that does not reach the modules would leave every other test here
    /// without anything to test.
    @Test func failpointsAreCompiledInWhenTheBuildAsksForThem() {
        let isExpected = getenv("TIKV_TEST_FAILPOINTS") != nil
        #if FAILPOINTS
        let isAsked = true
        #else
        let isAsked = false
        #endif
        #expect(Failpoints.areCompiledIn == isAsked)
        #expect(!isExpected || Failpoints.areCompiledIn)
    }
}
