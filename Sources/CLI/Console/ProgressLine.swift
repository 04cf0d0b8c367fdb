// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// One line on standard error that says how far long work has come. It shows on a terminal only.
struct ProgressLine {
    private static let interval: Duration = .milliseconds(100)
    private let isShown: Bool
    private var lastUpdate: ContinuousClock.Instant?

    init(isShown: Bool = StandardStream.error.isTerminal) {
        self.isShown = isShown
    }

    /// Shows `text` unless the line has just been changed, which would cost more than it tells.
    mutating func update(_ text: @autoclosure () -> String) {
        guard self.isShown else { return }
        let now = ContinuousClock.now
        if let last = self.lastUpdate, now - last < Self.interval { return }
        self.lastUpdate = now
        self.show(text())
    }

    /// Takes the line away.
    mutating func clear() {
        guard self.isShown, self.lastUpdate != nil else { return }
        self.lastUpdate = nil
        self.show("")
    }

    private func show(_ text: String) {
        // Progress is a courtesy: work goes on where it cannot be shown.
        try? StandardStream.error.write("\r\(text)\u{1B}[K")
    }
}
