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
            #expect(Self.contains(program, symbol) == Failpoints.areCompiledIn, "\(whole)")
        }
    }

    /// Where `make demo`, `make bench` or `make chaos` has built the program for release: neither the machinery is in it nor a
    /// name of a hook's symbols.
    @Test(.enabled(if: Self.hasRelease, "needs `swift build -c release --product tikv-cli`"))
    func theReleaseHasNothingOfFailpoints() throws {
        let program = try Data(contentsOf: Self.release, options: .mappedIfSafe)
        // The first is how it is with every module that has a name in the program.
        #expect(Self.contains(program, Data("4TiKV".utf8)))
        for whole in ["FailpointScope", "FailpointPlan", "FailpointParser", "performAtFailpoints"] {
            // Put together here so that this file is not found.
            let symbol = Data("\(whole.utf8.count)\(whole)".utf8)
            #expect(!Self.contains(program, symbol), "\(whole)")
        }
    }

    /// With the C library: a program has hundreds of megabytes, and Foundation's search takes so long over them, in a debug
    /// build, that calls of other tests pass their deadlines while this one holds a thread.
    private static func contains(_ program: Data, _ symbol: Data) -> Bool {
        program.withUnsafeBytes { bytes in
            symbol.withUnsafeBytes { symbol in
                guard var start = bytes.baseAddress, let wanted = symbol.baseAddress else { return false }
                let end = start + bytes.count
                while end - start >= symbol.count,
                    let found = memchr(start, Int32(symbol[0]), end - start - symbol.count + 1)
                {
                    if memcmp(found, wanted, symbol.count) == 0 { return true }
                    start = UnsafeRawPointer(found) + 1
                }
                return false
            }
        }
    }

    private static let release = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: ".build/release/tikv-cli")

    private static var hasRelease: Bool { FileManager.default.fileExists(atPath: Self.release.path) }
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
