// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// The seconds that are full. As `components.seconds`, without its division of a number of 128 bits, which alone would take
    /// a fifth of the time of looking up a region.
    var wholeSeconds: Int64 {
        // A second is 10^18 attoseconds, which is 5^18 times 2^18.
        guard let scaled = Int64(exactly: self.attoseconds >> 18) else { return self.components.seconds }
        return scaled / 3_814_697_265_625
    }
}
