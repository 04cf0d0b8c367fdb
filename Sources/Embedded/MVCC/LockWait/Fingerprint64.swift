// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// FarmHash's `Fingerprint64`, by which TiKV and its clients name keys in deadlocks.
enum Fingerprint64 {
    private static let k0: UInt64 = 0xC3A5_C85C_97CB_3127
    private static let k1: UInt64 = 0xB492_B66F_BE98_F273
    private static let k2: UInt64 = 0x9AE1_6A3B_2F90_404F

    static func hash(_ bytes: [UInt8]) -> UInt64 {
        switch bytes.count {
        case 0...16: self.upTo16(bytes)
        case 17...32: self.upTo32(bytes)
        case 33...64: self.upTo64(bytes)
        default: self.long(bytes)
        }
    }

    // MARK: - By length

    private static func upTo16(_ bytes: [UInt8]) -> UInt64 {
        let count = bytes.count
        let length = UInt64(count)
        let mul = self.k2 &+ length &* 2
        if count >= 8 {
            let a = self.word(bytes, 0) &+ self.k2
            let b = self.word(bytes, count - 8)
            return self.mix(self.rotate(b, 37) &* mul &+ a, (self.rotate(a, 25) &+ b) &* mul, mul)
        }
        if count >= 4 {
            return self.mix(length &+ self.half(bytes, 0) << 3, self.half(bytes, count - 4), mul)
        }
        guard count > 0 else { return self.k2 }
        let y = UInt64(bytes[0]) &+ UInt64(bytes[count >> 1]) << 8
        let z = length &+ UInt64(bytes[count - 1]) << 2
        return self.shiftMix(y &* self.k2 ^ z &* self.k0) &* self.k2
    }

    private static func upTo32(_ bytes: [UInt8]) -> UInt64 {
        let count = bytes.count
        let mul = self.k2 &+ UInt64(count) &* 2
        let a = self.word(bytes, 0) &* self.k1
        let b = self.word(bytes, 8)
        let c = self.word(bytes, count - 8) &* mul
        let d = self.word(bytes, count - 16) &* self.k2
        return self.mix(
            self.rotate(a &+ b, 43) &+ self.rotate(c, 30) &+ d, a &+ self.rotate(b &+ self.k2, 18) &+ c, mul)
    }

    private static func upTo64(_ bytes: [UInt8]) -> UInt64 {
        let count = bytes.count
        let mul = self.k2 &+ UInt64(count) &* 2
        let a = self.word(bytes, 0) &* self.k2
        let b = self.word(bytes, 8)
        let c = self.word(bytes, count - 8) &* mul
        let d = self.word(bytes, count - 16) &* self.k2
        let y = self.rotate(a &+ b, 43) &+ self.rotate(c, 30) &+ d
        let z = self.mix(y, a &+ self.rotate(b &+ self.k2, 18) &+ c, mul)
        let e = self.word(bytes, 16) &* mul
        let f = self.word(bytes, 24)
        let g = (y &+ self.word(bytes, count - 32)) &* mul
        let h = (z &+ self.word(bytes, count - 24)) &* mul
        return self.mix(
            self.rotate(e &+ f, 43) &+ self.rotate(g, 30) &+ h, e &+ self.rotate(f &+ a, 18) &+ g, mul)
    }

    private static func long(_ bytes: [UInt8]) -> UInt64 {
        let count = bytes.count
        var x: UInt64 = 81
        var y = x &* self.k1 &+ 113
        var z = self.shiftMix(y &* self.k2 &+ 113) &* self.k2
        var v: (UInt64, UInt64) = (0, 0)
        var w: (UInt64, UInt64) = (0, 0)
        x = x &* self.k2 &+ self.word(bytes, 0)
        let end = (count - 1) / 64 * 64
        for s in stride(from: 0, to: end, by: 64) {
            x = self.rotate(x &+ y &+ v.0 &+ self.word(bytes, s + 8), 37) &* self.k1
            y = self.rotate(y &+ v.1 &+ self.word(bytes, s + 48), 42) &* self.k1
            x ^= w.1
            y = y &+ v.0 &+ self.word(bytes, s + 40)
            z = self.rotate(z &+ w.0, 33) &* self.k1
            v = self.weak(bytes, s, v.1 &* self.k1, x &+ w.0)
            w = self.weak(bytes, s + 32, z &+ w.1, y &+ self.word(bytes, s + 16))
            swap(&z, &x)
        }
        let mul = self.k1 &+ (z & 0xFF) << 1
        let s = count - 64
        w.0 = w.0 &+ UInt64((count - 1) & 63)
        v.0 = v.0 &+ w.0
        w.0 = w.0 &+ v.0
        x = self.rotate(x &+ y &+ v.0 &+ self.word(bytes, s + 8), 37) &* mul
        y = self.rotate(y &+ v.1 &+ self.word(bytes, s + 48), 42) &* mul
        x ^= w.1 &* 9
        y = y &+ v.0 &* 9 &+ self.word(bytes, s + 40)
        z = self.rotate(z &+ w.0, 33) &* mul
        v = self.weak(bytes, s, v.1 &* mul, x &+ w.0)
        w = self.weak(bytes, s + 32, z &+ w.1, y &+ self.word(bytes, s + 16))
        swap(&z, &x)
        return self.mix(
            self.mix(v.0, w.0, mul) &+ self.shiftMix(y) &* self.k0 &+ z, self.mix(v.1, w.1, mul) &+ x, mul)
    }

    // MARK: - Parts

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        self.half(bytes, offset) | self.half(bytes, offset + 4) << 32
    }

    private static func half(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        UInt64(bytes[offset]) | UInt64(bytes[offset + 1]) << 8 | UInt64(bytes[offset + 2]) << 16
            | UInt64(bytes[offset + 3]) << 24
    }

    private static func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 {
        value >> bits | value << (64 - bits)
    }

    private static func shiftMix(_ value: UInt64) -> UInt64 { value ^ value >> 47 }

    private static func mix(_ u: UInt64, _ v: UInt64, _ mul: UInt64) -> UInt64 {
        let a = self.shiftMix((u ^ v) &* mul)
        return self.shiftMix((v ^ a) &* mul) &* mul
    }

    private static func weak(_ bytes: [UInt8], _ offset: Int, _ a: UInt64, _ b: UInt64) -> (UInt64, UInt64) {
        let w = self.word(bytes, offset)
        let x = self.word(bytes, offset + 8)
        let y = self.word(bytes, offset + 16)
        let z = self.word(bytes, offset + 24)
        let first = a &+ w
        let sum = first &+ x &+ y
        return (sum &+ z, self.rotate(b &+ first &+ z, 21) &+ self.rotate(sum, 44) &+ first)
    }
}
