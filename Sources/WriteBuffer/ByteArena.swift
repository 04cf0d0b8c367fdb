// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Bytes one after the other in blocks: few allocations, and all that came after a mark can be given back at once.
struct ByteArena: ~Copyable {
    struct Location: Sendable {
        var block: UInt32 = 0
        var offset: UInt32 = 0
    }

    struct Mark: Sendable {
        var blocks: Int
        var used: Int

        /// Whether what lies there was added after the mark.
        func isBefore(_ location: Location) -> Bool {
            Int(location.block) >= self.blocks
                || Int(location.block) == self.blocks - 1 && Int(location.offset) >= self.used
        }
    }

    private static let firstBlock = 4 << 10
    private static let largestBlock = 1 << 20

    private(set) var blocks: ContiguousArray<[UInt8]> = []
    /// The memory that is held.
    private(set) var capacity = 0

    var mark: Mark { Mark(blocks: self.blocks.count, used: self.blocks.last?.count ?? 0) }

    mutating func append(_ bytes: [UInt8]) -> Location {
        if let last = self.blocks.last, last.capacity - last.count >= bytes.count {
            // Enough room.
        } else {
            let size = min(Self.largestBlock, Self.firstBlock << min(8, self.blocks.count))
            var block: [UInt8] = []
            block.reserveCapacity(max(size, bytes.count))
            self.capacity += block.capacity
            self.blocks.append(block)
        }
        let index = self.blocks.count - 1
        let offset = self.blocks[index].count
        self.blocks[index].append(contentsOf: bytes)
        return Location(block: UInt32(index), offset: UInt32(offset))
    }

    /// Writes over bytes that are there, which must be at least as many.
    mutating func overwrite(_ location: Location, with bytes: [UInt8]) {
        let start = Int(location.offset)
        self.blocks[Int(location.block)].replaceSubrange(start..<start + bytes.count, with: bytes)
    }

    func bytes(at location: Location, count: Int) -> [UInt8] {
        guard count > 0 else { return [] }
        let start = Int(location.offset)
        return Array(self.blocks[Int(location.block)][start..<start + count])
    }

    /// Forgets all that was added after the mark.
    mutating func truncate(to mark: Mark) {
        while self.blocks.count > mark.blocks, let block = self.blocks.popLast() { self.capacity -= block.capacity }
        guard let last = self.blocks.indices.last else { return }
        self.blocks[last].removeLast(self.blocks[last].count - mark.used)
    }
}
