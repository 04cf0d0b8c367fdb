// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVFailpoints

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

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

    /// Without the flag nothing is left of the machinery behind the hooks: its names, which are part of the symbols of all
    /// that has code, are not in the program.
    #if os(Linux)
    @Test func theProgramHasTheMachineryOnlyWhenTheBuildAsksForIt() throws {
        let program = try Data(contentsOf: URL(filePath: "/proc/self/exe"), options: .mappedIfSafe)
        for name in ["Scope", "Plan", "Parser"] {
            // The length before a name is how Swift writes it in symbols; put together here so that this file is not found.
            let whole = "Failpoint" + name
            let symbol = Data("\(whole.utf8.count)\(whole)".utf8)
            #expect((program.firstRange(of: symbol) != nil) == Failpoints.areCompiledIn, "\(whole)")
        }
    }
    #endif

    /// Says so where there is nothing else to see.
    @Test(.enabled(if: Failpoints.areCompiledIn, "needs a build with -Xswiftc -DFAILPOINTS"))
    func failpointsCanBeSet() async throws {
        #if FAILPOINTS
        try await FailpointScope.withActive([.beforeCommit: "return(1)"]) { _ in
            #expect(Failpoint.beforeCommit.value()?.integer == 1)
        }
        #endif
    }
}
