// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NIOCore
import Testing

@testable import TiKVTransport

/// The inputs that the fuzzer found worth keeping, and those that once showed a fault.
@Suite struct FuzzReplayTests {
    private static let corpus: [(name: String, bytes: [UInt8])] = {
        let directory = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(directory)/Fuzz/Corpus"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { !$0.hasPrefix(".") }.sorted().compactMap { name in
            (try? Data(contentsOf: URL(filePath: "\(path)/\(name)"))).map { (name, Array($0)) }
        }
    }()

    @Test func everyInputOfTheCorpusHolds() async {
        // A corpus that is not found would make this a test of nothing.
        #expect(Self.corpus.count > 100)
        for (name, bytes) in Self.corpus {
            let faults = FuzzTarget.run(bytes)
            #expect(faults.isEmpty, "\(name)")
            // Others want the thread too.
            await Task.yield()
        }
    }

    @Test func theCorpusHasInputsForEachPart() {
        let parts = Set(Self.corpus.compactMap { $0.bytes.first.map { Int($0) % FuzzTarget.allCases.count } })
        #expect(parts.count == FuzzTarget.allCases.count)
    }

    /// Inputs made up on the spot, without coverage to lead them.
    @Test(arguments: FuzzTarget.allCases)
    func whatComesByChanceHolds(part: FuzzTarget) async {
        var random = SeededRandom(seed: 20_261_123 &+ UInt64(part.rawValue))
        for _ in 0..<20 {
            let count = Int.random(in: 1...300, using: &random)
            let bytes = [part.rawValue] + (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(FuzzTarget.run(bytes).isEmpty, "\(bytes)")
            await Task.yield()
        }
    }

    /// What the checks are for: each of these orders of events is a fault.
    @Test func theChecksFindWhatIsWrong() {
        let stream = HTTP2Stream(id: 1, slot: 0)
        let headers = HTTP2Event.headers(stream, HeaderBlock(), endStream: false)
        let data = HTTP2Event.data(stream, ByteBuffer(bytes: [1]))
        let closed = HTTP2Event.closed(stream, .noError)
        let wrong: [[HTTP2Event]] = [
            [headers, closed, data], [headers, closed, closed], [headers, .endStream(stream), data],
            [headers, closed, headers],
            [headers, .headers(HTTP2Stream(id: 3, slot: 0), HeaderBlock(), endStream: true)],
        ]
        for events in wrong {
            var checks = SessionChecks(isServer: true)
            for event in events { checks.event(event) }
            #expect(!checks.faults.isEmpty)
        }
        var right = SessionChecks(isServer: true)
        for event in [headers, data, .endStream(stream), closed] { right.event(event) }
        right.released(stream)
        right.event(.headers(HTTP2Stream(id: 3, slot: 0), HeaderBlock(), endStream: true))
        #expect(right.faults.isEmpty)
        // A client is told of streams that it opened, and of no others.
        var client = SessionChecks(isServer: false)
        client.event(headers)
        #expect(!client.faults.isEmpty)
    }
}
