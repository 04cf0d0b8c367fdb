// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

import Testing
import TiKVFailpoints

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite struct DocumentationTests {
    /// docs/failpoints.md is what the enum gives. With TIKV_WRITE_DOCS it is written.
    @Test func theListIsWhatTheCodeGives() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "docs/failpoints.md")
        if ProcessInfo.processInfo.environment["TIKV_WRITE_DOCS"] != nil {
            try Data(Failpoint.documentation.utf8).write(to: file)
        }
        let text = try String(decoding: Data(contentsOf: file), as: UTF8.self)
        #expect(text == Failpoint.documentation, "docs/failpoints.md is out of date")
    }

    @Test func everyFailpointIsDescribed() {
        for failpoint in Failpoint.allCases { #expect(!failpoint.summary.isEmpty, "\(failpoint)") }
    }
}

#endif
