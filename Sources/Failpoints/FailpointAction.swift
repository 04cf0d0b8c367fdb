// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

/// What happens at a hook.
package enum FailpointAction: Hashable, Sendable {
    case off
    case `return`(FailpointValue)
    case sleep(milliseconds: Int)
    case pause
    case panic(String)
    case print(String)
}

/// The actions of one failpoint in their order: the first one that is not used up, and whose dice fall right, happens.
///
/// Written as terms with `->` between them. A term is an action, before it how often it happens at most (`3*`), and before
/// that with what probability (`50%`). The actions are `off`, `return`, `return(value)`, `sleep(milliseconds)`, `pause`,
/// `panic`, `panic(message)`, `print` and `print(message)`. Example: `2*return("timeout")->50%sleep(10)->off`.
package struct FailpointPlan: Hashable, Sendable {
    struct Term: Hashable, Sendable {
        var action: FailpointAction
        /// Nil means for ever.
        var remaining: Int?
        /// From 0 to 100.
        var percent: Double
    }

    private(set) var terms: [Term]

    package init(_ text: String) throws(FailpointError) {
        var parser = FailpointParser(text)
        self.terms = try parser.terms()
    }

    /// The action that happens now.
    ///
    /// - Parameter roll: gives a random number from 0 up to 100, which is not one of them.
    package mutating func next(roll: () -> Double) -> FailpointAction {
        for index in self.terms.indices {
            if self.terms[index].remaining == 0 { continue }
            if self.terms[index].percent < 100 && roll() >= self.terms[index].percent { continue }
            if let remaining = self.terms[index].remaining { self.terms[index].remaining = remaining - 1 }
            return self.terms[index].action
        }
        return .off
    }
}

/// Reads the text of actions.
private struct FailpointParser {
    private let text: String
    private let characters: [Character]
    private var offset = 0

    init(_ text: String) {
        self.text = text
        self.characters = Array(text)
    }

    mutating func terms() throws(FailpointError) -> [FailpointPlan.Term] {
        var terms: [FailpointPlan.Term] = []
        repeat {
            terms.append(try self.term())
            self.skipSpaces()
            if self.offset == self.characters.count { return terms }
        } while self.take("->")
        throw self.error("expected '->' or the end")
    }

    private mutating func term() throws(FailpointError) -> FailpointPlan.Term {
        var term = FailpointPlan.Term(action: .off, remaining: nil, percent: 100)
        while let number = try self.number() {
            if self.take("%") {
                guard number <= 100 else { throw self.error("a probability is at most 100%") }
                term.percent = number
            } else if self.take("*") {
                guard let count = Int(exactly: number) else { throw self.error("how often is a whole number") }
                term.remaining = count
            } else {
                throw self.error("expected '%' or '*' after a number")
            }
        }
        term.action = try self.action()
        return term
    }

    private mutating func action() throws(FailpointError) -> FailpointAction {
        self.skipSpaces()
        let start = self.offset
        while self.offset < self.characters.count, self.characters[self.offset].isLetter { self.offset += 1 }
        let name = String(self.characters[start..<self.offset])
        let argument = try self.argument()
        switch name {
        case "off" where argument == nil: return .off
        case "pause" where argument == nil: return .pause
        case "return": return .return(FailpointValue(argument ?? ""))
        case "panic": return .panic(argument ?? "")
        case "print": return .print(argument ?? "")
        case "sleep":
            guard let argument, let milliseconds = Int(argument), milliseconds >= 0 else {
                throw self.error("sleep needs whole milliseconds, as in sleep(50)")
            }
            return .sleep(milliseconds: milliseconds)
        case "off", "pause":
            throw self.error("\(name) takes no argument")
        case "":
            self.offset = start
            throw self.error("expected an action: off, return, sleep, pause, panic or print")
        default:
            self.offset = start
            throw self.error("there is no action '\(name)'")
        }
    }

    /// What is between parentheses; quotation marks around all of it do not count.
    private mutating func argument() throws(FailpointError) -> String? {
        guard self.take("(") else { return nil }
        let start = self.offset
        var isQuoted = false
        while self.offset < self.characters.count {
            let character = self.characters[self.offset]
            if character == "\"" { isQuoted.toggle() }
            if character == ")" && !isQuoted {
                let argument = self.characters[start..<self.offset]
                self.offset += 1
                let isWrapped = argument.count >= 2 && argument.first == "\"" && argument.last == "\""
                return String(isWrapped ? argument.dropFirst().dropLast() : argument)
            }
            self.offset += 1
        }
        throw self.error(isQuoted ? "the quotation mark is not closed" : "expected ')'")
    }

    private mutating func number() throws(FailpointError) -> Double? {
        self.skipSpaces()
        let start = self.offset
        while self.offset < self.characters.count,
            self.characters[self.offset].isASCII,
            self.characters[self.offset].isNumber || self.characters[self.offset] == "."
        {
            self.offset += 1
        }
        if start == self.offset { return nil }
        guard let number = Double(String(self.characters[start..<self.offset])) else {
            throw self.error("not a number")
        }
        return number
    }

    private mutating func skipSpaces() {
        while self.offset < self.characters.count, self.characters[self.offset] == " " { self.offset += 1 }
    }

    private mutating func take(_ token: String) -> Bool {
        let token = Array(token)
        guard self.characters[self.offset...].starts(with: token) else { return false }
        self.offset += token.count
        return true
    }

    private func error(_ reason: String) -> FailpointError {
        .syntax(self.text, offset: self.offset, reason)
    }
}

#endif
