// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A table for the terminal: the first column to the left, the others, which hold numbers, to the right.
struct TextTable {
    private var rows: [[String]]

    init(_ columns: [String]) {
        self.rows = [columns]
    }

    mutating func add(_ row: [String]) {
        self.rows.append(row)
    }

    /// The lines, each with an end of line.
    var text: String {
        let columns = self.rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            self.rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return self.rows.map { row in
            let cells = row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + padding : padding + cell
            }
            return "  " + cells.joined(separator: "   ") + "\n"
        }.joined()
    }
}
