// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVWriteBuffer

@Suite
struct UnionCursorTests {
    /// Merges with a snapshot that comes in pages of so many pairs.
    private func merge(
        _ buffer: borrowing WriteBuffer, _ snapshot: [String: String], from lower: String = "", to upper: String? = nil,
        isReversed: Bool = false, pageSize: Int = 2
    ) throws -> [String] {
        var stored = snapshot.filter { pair in pair.key >= lower && (upper.map { pair.key < $0 } ?? true) }
            .sorted { isReversed ? $0.key > $1.key : $0.key < $1.key }[...]
        var cursor = UnionCursor(from: bytes(lower), to: upper.map { bytes($0) }, isReversed: isReversed)
        var result: [String] = []
        while true {
            switch try cursor.next(buffer) {
            case .pair(let pair):
                result.append(
                    "\(String(decoding: pair.key, as: UTF8.self))=\(String(decoding: pair.value, as: UTF8.self))")
            case .needsPage:
                let page = stored.prefix(pageSize)
                stored = stored.dropFirst(pageSize)
                let bound = stored.isEmpty ? nil : isReversed ? page.last?.key : stored.first?.key
                cursor.supply(
                    page.map { UnionCursor.Pair(key: bytes($0.key), value: bytes($0.value)) },
                    knownTo: bound.map { bytes($0) })
            case .finished:
                return result
            }
        }
    }

    @Test
    func bufferedValuesStandInForTheSnapshots() throws {
        var buffer = WriteBuffer()
        try buffer.put(bytes("1"), value: bytes("new"))
        #expect(try self.merge(buffer, ["1": "old", "2": "two"]) == ["1=new", "2=two"])
        #expect(buffer.value(of: bytes("1")) == .put(bytes("new")))
        #expect(buffer.value(of: bytes("2")) == nil)
    }

    @Test
    func bufferedDeletesHideTheSnapshots() throws {
        var buffer = WriteBuffer()
        try buffer.delete(bytes("1"))
        #expect(try self.merge(buffer, ["1": "old", "2": "two"]) == ["2=two"])
        try buffer.put(bytes("1"), value: bytes("back"))
        #expect(try self.merge(buffer, ["1": "old", "2": "two"]) == ["1=back", "2=two"])
    }

    @Test(arguments: [1, 2, 3, 100])
    func bothAreMergedInOrder(pageSize: Int) throws {
        var buffer = WriteBuffer()
        let snapshot = ["1": "1", "2": "2", "3": "3"]
        try buffer.put(bytes("2"), value: bytes("two"))
        #expect(try self.merge(buffer, snapshot, pageSize: pageSize) == ["1=1", "2=two", "3=3"])
        #expect(try self.merge(buffer, snapshot, from: "2", pageSize: pageSize) == ["2=two", "3=3"])
        try buffer.put(bytes("4"), value: bytes("four"))
        try buffer.delete(bytes("1"))
        try buffer.put(bytes("0"), value: bytes("zero"))
        try buffer.updateFlags(bytes("3"), .set(.locked))
        try buffer.updateFlags(bytes("5"), .set(.locked))
        #expect(try self.merge(buffer, snapshot, pageSize: pageSize) == ["0=zero", "2=two", "3=3", "4=four"])
        #expect(try self.merge(buffer, snapshot, from: "2", to: "4", pageSize: pageSize) == ["2=two", "3=3"])
        #expect(try self.merge(buffer, [:], pageSize: pageSize) == ["0=zero", "2=two", "4=four"])
    }

    @Test(arguments: [1, 2, 3, 100])
    func bothAreMergedAgainstTheOrder(pageSize: Int) throws {
        var buffer = WriteBuffer()
        let snapshot = ["1": "1", "2": "2", "3": "3"]
        try buffer.put(bytes("2"), value: bytes("two"))
        try buffer.put(bytes("0"), value: bytes("zero"))
        try buffer.put(bytes("4"), value: bytes("four"))
        try buffer.delete(bytes("3"))
        #expect(
            try self.merge(buffer, snapshot, isReversed: true, pageSize: pageSize)
                == ["4=four", "2=two", "1=1", "0=zero"])
        #expect(
            try self.merge(buffer, snapshot, from: "1", to: "4", isReversed: true, pageSize: pageSize)
                == ["2=two", "1=1"])
    }

    @Test
    func writesBetweenStepsAreSeen() throws {
        var buffer = WriteBuffer()
        var cursor = UnionCursor()
        #expect(try cursor.next(buffer) == .needsPage)
        cursor.supply([UnionCursor.Pair(key: bytes("b"), value: bytes("1"))], knownTo: bytes("d"))
        try buffer.put(bytes("a"), value: bytes("2"))
        #expect(try cursor.next(buffer) == .pair(UnionCursor.Pair(key: bytes("a"), value: bytes("2"))))
        try buffer.delete(bytes("b"))
        try buffer.put(bytes("c"), value: bytes("3"))
        try buffer.put(bytes("e"), value: bytes("4"))
        #expect(try cursor.next(buffer) == .pair(UnionCursor.Pair(key: bytes("c"), value: bytes("3"))))
        // What the snapshot has before it is not known yet.
        #expect(try cursor.next(buffer) == .needsPage)
        cursor.supply([], knownTo: nil)
        #expect(try cursor.next(buffer) == .pair(UnionCursor.Pair(key: bytes("e"), value: bytes("4"))))
        #expect(try cursor.next(buffer) == .finished)
    }

    @Test
    func withoutASnapshotThereIsTheBufferOnly() throws {
        var buffer = WriteBuffer()
        try buffer.put(bytes("a"), value: bytes("1"))
        var cursor = UnionCursor(hasSnapshot: false)
        #expect(try cursor.next(buffer) == .pair(UnionCursor.Pair(key: bytes("a"), value: bytes("1"))))
        #expect(try cursor.next(buffer) == .finished)
    }
}
