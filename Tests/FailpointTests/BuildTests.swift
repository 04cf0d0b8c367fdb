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

    /// What is built for release has nothing of the machinery: neither its module, which `make test` builds, nor the program,
    /// which is looked at where `make demo`, `make bench` or `make chaos` has built it, and has no name of a hook either.
    @Test(.enabled(if: Self.hasRelease, "needs `swift build -c release --target TiKVFailpoints`"))
    func theReleaseHasNothingOfFailpoints() throws {
        var hasNames = false
        for file in Self.release {
            let content = try Data(contentsOf: file, options: .mappedIfSafe)
            // How it is with every module that has a name in what was built.
            hasNames = hasNames || Self.contains(content, Data("14TiKVFailpoints".utf8))
            for whole in ["FailpointScope", "FailpointPlan", "FailpointParser", "performAtFailpoints"] {
                // Put together here so that this file is not found.
                let symbol = Data("\(whole.utf8.count)\(whole)".utf8)
                #expect(!Self.contains(content, symbol), "\(whole) in \(file.lastPathComponent)")
            }
        }
        #expect(hasNames)
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

    /// The program and the module's objects, as far as they were built.
    private static let release: [URL] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: ".build/release")
        let module = folder.appending(path: "TiKVFailpoints.build")
        let objects = (try? FileManager.default.contentsOfDirectory(atPath: module.path)) ?? []
        return
            ([folder.appending(path: "tikv-cli")]
            + objects.filter { $0.hasSuffix(".o") }.map { module.appending(path: $0) })
            .filter { FileManager.default.fileExists(atPath: $0.path) }
    }()

    private static var hasRelease: Bool { !Self.release.isEmpty }
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
