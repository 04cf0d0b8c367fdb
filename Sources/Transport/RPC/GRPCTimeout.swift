// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The value of the `grpc-timeout` header: at most eight digits and a unit.
enum GRPCTimeout {
    private static let units: [(letter: UInt8, nanoseconds: Int64)] = [
        (UInt8(ascii: "n"), 1), (UInt8(ascii: "u"), 1_000), (UInt8(ascii: "m"), 1_000_000),
        (UInt8(ascii: "S"), 1_000_000_000), (UInt8(ascii: "M"), 60_000_000_000), (UInt8(ascii: "H"), 3_600_000_000_000),
    ]

    /// Writes a time in the finest unit that fits, rounded up so that the peer never stops before we do.
    static func encode(nanoseconds: Int64) -> [UInt8] {
        let time = max(nanoseconds, 1)
        for (letter, size) in self.units {
            let value = (time - 1) / size + 1
            if value <= 99_999_999 { return self.digits(value) + [letter] }
        }
        return self.digits(99_999_999) + [UInt8(ascii: "H")]
    }

    /// Reads a header's value into nanoseconds (at most `Int64.max`); nil where it is none.
    static func decode(_ text: some Collection<UInt8>) -> Int64? {
        let digits = text.dropLast()
        guard (1...8).contains(digits.count), let letter = Array(text.suffix(1)).first,
            let unit = self.units.first(where: { $0.letter == letter })
        else { return nil }
        var value: Int64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - UInt8(ascii: "0"))
        }
        let (time, overflow) = value.multipliedReportingOverflow(by: unit.nanoseconds)
        return overflow ? .max : time
    }

    private static func digits(_ value: Int64) -> [UInt8] {
        var rest = value
        var reversed: [UInt8] = []
        repeat {
            reversed.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        return reversed.reversed()
    }
}
