// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Faults that happen to some requests, the same ones for the same seed and the same order of requests.
struct FaultChance: Sendable {
    let faults: [EmbeddedCluster.Fault]
    /// From 0, never, to 1, always.
    let probability: Double
    private var state: UInt64

    init(_ faults: [EmbeddedCluster.Fault], probability: Double, seed: UInt64) {
        self.faults = faults
        self.probability = probability
        self.state = seed
    }

    /// What happens to the next request; nil where nothing does.
    mutating func draw() -> EmbeddedCluster.Fault? {
        guard !self.faults.isEmpty, Double(self.next() >> 11) / Double(1 << 53) < self.probability else { return nil }
        return self.faults[Int(self.next() % UInt64(self.faults.count))]
    }

    /// SplitMix64.
    private mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
