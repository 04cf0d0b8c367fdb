// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What bytes from a stranger are tried on. An input's first byte names the part, the rest is for it.
///
/// The fuzzer (`make fuzz`) makes up inputs; `FuzzReplayTests` replays those that were worth keeping.
enum FuzzTarget: UInt8, CaseIterable {
    /// Bytes as they come, into a session of the server role.
    case serverBytes
    case clientBytes
    /// A session that gets whole frames, right and wrong ones, while its owner uses it as a connection does.
    case serverFrames
    case clientFrames
    /// Two sessions of ours against each other: nothing may go wrong at all.
    case pair
    case deframer
    case response
    case batch
    case text
    case tls
    /// Whole connections, down to the handlers of calls.
    case serverConnection
    case clientConnection

    /// Runs one input. Returns what is wrong; a trap or a sanitizer's report says the rest.
    static func run(_ input: [UInt8]) -> [String] {
        guard let first = input.first else { return [] }
        let target = Self.allCases[Int(first) % Self.allCases.count]
        var reader = FuzzReader(input.dropFirst())
        switch target {
        case .serverBytes, .clientBytes, .serverFrames, .clientFrames:
            let isServer = target == .serverBytes || target == .serverFrames
            let isFramed = target == .serverFrames || target == .clientFrames
            guard var program = SessionProgram(isServer: isServer, isFramed: isFramed, reader) else { return [] }
            return program.run()
        case .pair:
            guard var program = PairProgram(reader) else { return [] }
            return program.run()
        case .deframer: return FramingFuzz.deframer(&reader)
        case .response: return FramingFuzz.response(&reader)
        case .batch: return FramingFuzz.batch(&reader)
        case .text: return TextFuzz.text(&reader)
        case .tls: return TextFuzz.tls(&reader)
        case .serverConnection: return ConnectionFuzz.server(&reader)
        case .clientConnection: return ConnectionFuzz.client(&reader)
        }
    }
}
