// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKVEmbedded

@Suite struct VersionRequirementTests {
    @Test(arguments: [
        ("*", "0.0.1", true), ("1.2.3", "1.2.3", true), ("1.2.3", "1.9.0", true), ("1.2.3", "1.2.2", false),
        ("^1.2", "2.0.0", false), ("^0.3", "0.3.9", true), ("^0.3", "0.4.0", false), ("^0.0.3", "0.0.4", false),
        ("^0", "0.9.9", true), ("~1.2", "1.2.9", true), ("~1.2", "1.3.0", false), ("~1", "1.9.9", true),
        ("=1.2", "1.2.9", true), ("=1.2.3", "1.2.4", false), (">=1, <3", "2.9.9", true), (">=1, <3", "3.0.0", false),
        (">1.2.3", "1.2.3", false), ("<= 1.2", "1.2.7", true), ("*", "1.2", false),
    ])
    func whichVersionsWillDo(requirement: String, version: String, isMet: Bool) throws {
        #expect(try #require(VersionRequirement(requirement)).isMet(by: version) == isMet)
    }

    @Test(arguments: ["", "x", "1.2.3.4", "1..2", ">=", "1,,2", "^-1"]) func whatIsNoRequirement(text: String) {
        #expect(VersionRequirement(text) == nil)
    }
}
