// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The same numbers for the same seed (SplitMix64).
struct ChaosRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// - Parameter stream: numbers of their own for each of a run's parts.
    init(_ seed: UInt64, stream: Int = 0) {
        self.state = seed &* 0xD134_2543_DE82_EF95 &+ UInt64(stream) &* 0x2545_F491_4F6C_DD1D
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// True in so many of a hundred cases.
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}
