// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Says whether a history is one of snapshot isolation, and where it is not, why.
///
/// From what transactions saw follows which of them came before which: a write follows the write that it replaces (ww), a
/// read follows the write that it saw (wr), and a write follows the reads that did not see it (rw). A history is one of
/// snapshot isolation if and only if no circle of these is without two rw in a row (Cerone and Gotsman, "Analysing
/// snapshot isolation", theorem 4.1).
package struct SnapshotIsolationChecker: Sendable {
    /// The order of two transactions.
    private enum Order: Int, Sendable {
        case writeWrite
        case writeRead
        case realTime
        case readWrite
    }

    private struct Version: Hashable {
        var key: String
        var value: Int
    }

    private let transactions: [History.Transaction]
    private var writers: [Version: Int] = [:]
    /// Of each transaction and key, what it wrote in the end.
    private var lastWrites: [[String: Int]] = []
    private var edges: [[(to: Int, order: Order)]] = []
    private var violations: [Violation] = []

    /// All that is wrong with a history, as far as it goes: where reads make no sense, circles are not looked for.
    package static func violations(of history: History) -> [Violation] {
        var checker = SnapshotIsolationChecker(history)
        checker.checkReads()
        guard checker.violations.isEmpty else { return checker.violations }
        checker.order()
        guard checker.violations.isEmpty else { return checker.violations }
        if let violation = checker.cycle() { checker.violations.append(violation) }
        return checker.violations
    }

    private init(_ history: History) {
        var all: [Version: Int] = [:]
        for (index, transaction) in history.transactions.enumerated() {
            for operation in transaction.operations {
                if let version = Self.written(operation) { all[version] = index }
            }
        }
        // One of unknown outcome was committed where a committed one has seen it; such a one's reads count too.
        var isCommitted = history.transactions.map { $0.outcome == .committed }
        var queue = isCommitted.indices.filter { isCommitted[$0] }
        while let index = queue.popLast() {
            for version in history.transactions[index].operations.flatMap(Self.seen) {
                guard let writer = all[version], !isCommitted[writer] else { continue }
                guard history.transactions[writer].outcome == .unknown else { continue }
                isCommitted[writer] = true
                queue.append(writer)
            }
        }
        var transactions = history.transactions
        for index in transactions.indices where transactions[index].outcome == .unknown {
            transactions[index].outcome = isCommitted[index] ? .committed : .unknown
        }
        self.transactions = transactions
        self.writers = all
        for transaction in transactions {
            var last: [String: Int] = [:]
            for version in transaction.operations.compactMap(Self.written) { last[version.key] = version.value }
            self.lastWrites.append(last)
        }
    }

    // MARK: - Single reads

    private mutating func checkReads() {
        for (index, transaction) in self.transactions.enumerated() where transaction.outcome == .committed {
            self.checkOwn(transaction)
            for operation in transaction.operations {
                for version in Self.seen(operation) { self.check(version, seenBy: index) }
                guard case .readList(let key, let list) = operation else {
                    if case .read(let key, let value?) = operation {
                        self.checkIntermediate(Version(key: key, value: value), seenBy: index)
                    }
                    continue
                }
                if Set(list).count != list.count { self.add(.incompatibleOrder(key: key)) }
                if let last = list.last { self.checkIntermediate(Version(key: key, value: last), seenBy: index) }
            }
        }
    }

    private mutating func check(_ version: Version, seenBy reader: Int) {
        let id = self.transactions[reader].id
        guard let writer = self.writers[version] else {
            return self.add(.phantomValue(reader: id, key: version.key, value: version.value))
        }
        guard self.transactions[writer].outcome == .committed else {
            return self.add(.dirtyRead(reader: id, writer: self.transactions[writer].id))
        }
    }

    private mutating func checkIntermediate(_ version: Version, seenBy reader: Int) {
        guard let writer = self.writers[version], writer != reader else { return }
        if self.lastWrites[writer][version.key] != version.value {
            self.add(.intermediateRead(reader: self.transactions[reader].id, writer: self.transactions[writer].id))
        }
    }

    /// Whether a transaction's reads agree with its own writes and with each other.
    private mutating func checkOwn(_ transaction: History.Transaction) {
        var lists: [String: [Int]] = [:]
        var appended: [String: [Int]] = [:]
        var registers: [String: Int?] = [:]
        for operation in transaction.operations {
            switch operation {
            case .append(let key, let element):
                appended[key, default: []].append(element)
                lists[key]?.append(element)
            case .readList(let key, let list):
                let isRight =
                    lists[key].map { $0 == list }
                    ?? list.suffix(appended[key]?.count ?? 0).elementsEqual(appended[key] ?? [])
                if !isRight { self.add(.inconsistentWithItself(transaction.id)) }
                lists[key] = list
            case .write(let key, let value):
                registers[key] = .some(value)
            case .read(let key, let value):
                if let known = registers[key], known != value { self.add(.inconsistentWithItself(transaction.id)) }
                registers[key] = .some(value)
            }
        }
    }

    private mutating func add(_ violation: Violation) {
        if !self.violations.contains(violation) { self.violations.append(violation) }
    }

    // MARK: - Orders

    private mutating func order() {
        self.edges = Array(repeating: [], count: self.transactions.count)
        let committed = self.transactions.indices.filter { self.transactions[$0].outcome == .committed }
        let lists = self.listOrders(committed)
        guard self.violations.isEmpty else { return }
        let registers = self.registerOrders(committed)
        for (key, versions) in lists.merging(registers, uniquingKeysWith: { first, _ in first }) {
            self.connect(key, versions, committed)
        }
        self.connectInTime(committed)
    }

    /// The order of each list's elements: that of the longest read, of which all others must be the beginning; then, in any
    /// order, what was never seen, which says nothing.
    private mutating func listOrders(_ committed: [Int]) -> [String: [Int]] {
        var longest: [String: [Int]] = [:]
        for index in committed {
            for case .readList(let key, let list) in self.transactions[index].operations {
                if list.count > longest[key]?.count ?? -1 { longest[key] = list }
            }
        }
        for index in committed {
            for case .readList(let key, let list) in self.transactions[index].operations
            where !(longest[key] ?? []).starts(with: list) {
                self.add(.incompatibleOrder(key: key))
            }
        }
        return longest
    }

    private func registerOrders(_ committed: [Int]) -> [String: [Int]] {
        var versions: [String: [(value: Int, timestamp: UInt64)]] = [:]
        for index in committed {
            let transaction = self.transactions[index]
            guard let timestamp = transaction.commitTimestamp else { continue }
            let keys = Set(
                transaction.operations.compactMap { operation in
                    if case .write(let key, _) = operation { key } else { nil }
                })
            for key in keys {
                if let value = self.lastWrites[index][key] { versions[key, default: []].append((value, timestamp)) }
            }
        }
        return versions.mapValues { $0.sorted { $0.timestamp < $1.timestamp }.map(\.value) }
    }

    /// Adds what follows from the versions of a key.
    private mutating func connect(_ key: String, _ versions: [Int], _ committed: [Int]) {
        var places: [Int: Int] = [:]
        var previous: Int?
        for (place, value) in versions.enumerated() {
            places[value] = place
            guard let writer = self.writers[Version(key: key, value: value)] else { continue }
            if let previous, previous != writer { self.edges[previous].append((writer, .writeWrite)) }
            previous = writer
        }
        for index in committed {
            var own: Set<Int> = []
            for operation in self.transactions[index].operations {
                if let version = Self.written(operation), version.key == key { own.insert(version.value) }
            }
            for operation in self.transactions[index].operations {
                let seen: Int?
                switch operation {
                // What came before its own writes is what it saw of others.
                case .readList(key, let list): seen = list.last { !own.contains($0) }
                case .read(key, let value):
                    if let value, own.contains(value) { continue }
                    seen = value
                default: continue
                }
                var next = 0
                if let seen {
                    if let writer = self.writers[Version(key: key, value: seen)], writer != index {
                        self.edges[writer].append((index, .writeRead))
                    }
                    guard let place = places[seen] else { continue }
                    next = place + 1
                }
                // Several elements may be of one transaction, this one included.
                while next < versions.count {
                    if let writer = self.writers[Version(key: key, value: versions[next])], writer != index {
                        self.edges[index].append((writer, .readWrite))
                        break
                    }
                    next += 1
                }
            }
        }
    }

    /// Adds that what ended before another began came before it, leaving out what follows from the rest.
    private mutating func connectInTime(_ committed: [Int]) {
        let timed = committed.compactMap { index in self.transactions[index].span.map { (index, $0) } }
        let byBegin = timed.sorted { $0.1.lowerBound < $1.1.lowerBound }
        let byEnd = timed.sorted { $0.1.upperBound < $1.1.upperBound }
        for (index, span) in byBegin {
            // The last of those that had ended, and all that overlapped the last one to begin among these.
            var latestBegin = Int.min
            for (earlier, other) in byEnd.reversed() where other.upperBound < span.lowerBound {
                if other.upperBound < latestBegin { break }
                latestBegin = max(latestBegin, other.lowerBound)
                self.edges[earlier].append((index, .realTime))
            }
        }
    }

    // MARK: - Circles

    /// A circle that snapshot isolation does not allow, named by the simplest kind there is.
    private func cycle() -> Violation? {
        let ids = { (path: [Int]) in path.map { self.transactions[$0].id } }
        if let path = self.path({ $0 == .writeWrite }) { return .writeCycle(ids(path)) }
        if let path = self.path({ $0 != .readWrite }) { return .informationCycle(ids(path)) }
        if let path = self.singleAntiDependency() { return .singleAntiDependency(ids(path)) }
        if let path = self.nonadjacent() { return .nonadjacentAntiDependencies(ids(path)) }
        return nil
    }

    /// A circle of edges of some kinds.
    private func path(_ isWanted: (Order) -> Bool) -> [Int]? {
        Self.cycle(self.edges.map { $0.filter { isWanted($0.order) }.map(\.to) })
    }

    /// A circle with exactly one rw: a way back, without any, from its end to its beginning.
    private func singleAntiDependency() -> [Int]? {
        let forward = self.edges.map { $0.filter { $0.order != .readWrite }.map(\.to) }
        for (index, edges) in self.edges.enumerated() {
            for edge in edges where edge.order == .readWrite {
                if let way = Self.way(from: edge.to, to: index, forward) { return way }
            }
        }
        return nil
    }

    /// A circle of steps each of which is an edge that is no rw, with or without an rw after it.
    private func nonadjacent() -> [Int]? {
        var steps: [[Int]] = Array(repeating: [], count: self.edges.count)
        for (index, edges) in self.edges.enumerated() {
            for edge in edges where edge.order != .readWrite {
                steps[index].append(edge.to)
                for next in self.edges[edge.to] where next.order == .readWrite { steps[index].append(next.to) }
            }
        }
        return Self.cycle(steps)
    }

    /// The nodes of a circle, found depth first without recursion.
    private static func cycle(_ edges: [[Int]]) -> [Int]? {
        var state = Array(repeating: 0, count: edges.count)
        for root in edges.indices where state[root] == 0 {
            var stack: [(node: Int, next: Int)] = [(root, 0)]
            state[root] = 1
            while let top = stack.last {
                guard top.next < edges[top.node].count else {
                    state[top.node] = 2
                    stack.removeLast()
                    continue
                }
                stack[stack.count - 1].next += 1
                let node = edges[top.node][top.next]
                if state[node] == 1 {
                    return Array(stack.map(\.node).drop { $0 != node })
                }
                if state[node] == 0 {
                    state[node] = 1
                    stack.append((node, 0))
                }
            }
        }
        return nil
    }

    /// The nodes of the shortest way between two.
    private static func way(from start: Int, to end: Int, _ edges: [[Int]]) -> [Int]? {
        var parents = [start: start]
        var queue = [start]
        var position = 0
        while position < queue.count {
            let node = queue[position]
            position += 1
            if node == end {
                var way = [end]
                while let last = way.last, last != start, let parent = parents[last] { way.append(parent) }
                return way.reversed()
            }
            for next in edges[node] where parents[next] == nil {
                parents[next] = node
                queue.append(next)
            }
        }
        return nil
    }

    // MARK: - Operations

    private static func written(_ operation: History.Operation) -> Version? {
        switch operation {
        case .append(let key, let value), .write(let key, let value): Version(key: key, value: value)
        case .readList, .read: nil
        }
    }

    private static func seen(_ operation: History.Operation) -> [Version] {
        switch operation {
        case .readList(let key, let list): list.map { Version(key: key, value: $0) }
        case .read(let key, let value?): [Version(key: key, value: value)]
        case .append, .write, .read: []
        }
    }
}
