// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

import Testing
import TiKVFailpoints

@Suite struct ActionTests {
    /// What happens at the first so many hits; the dice always fall on `roll`.
    private func actions(_ text: String, _ count: Int, roll: Double = 0) throws -> [FailpointAction] {
        var plan = try FailpointPlan(text)
        return (0..<count).map { _ in plan.next(roll: { roll }) }
    }

    @Test func everyActionIsUnderstood() throws {
        #expect(try self.actions("off", 1) == [.off])
        #expect(try self.actions("return", 1) == [.return(FailpointValue(""))])
        #expect(try self.actions("return(5)", 1) == [.return(FailpointValue("5"))])
        #expect(try self.actions("return(\"a)b\")", 1) == [.return(FailpointValue("a)b"))])
        #expect(try self.actions("sleep(50)", 1) == [.sleep(milliseconds: 50)])
        #expect(try self.actions("pause", 1) == [.pause])
        #expect(try self.actions("panic", 1) == [.panic("")])
        #expect(try self.actions("panic(why)", 1) == [.panic("why")])
        #expect(try self.actions("print(\"here\")", 1) == [.print("here")])
    }

    @Test func countsAreUsedUpAndTheChainGoesOn() throws {
        let value = FailpointAction.return(FailpointValue("x"))
        #expect(try self.actions("2*return(x)->1*off -> pause", 5) == [value, value, .off, .pause, .pause])
        #expect(try self.actions("1*return(x)", 3) == [value, .off, .off])
        #expect(try self.actions("0*pause", 1) == [.off])
    }

    @Test func probabilitiesDecideBetweenTheTerms() throws {
        #expect(try self.actions("30%pause->panic", 1, roll: 29.9) == [.pause])
        #expect(try self.actions("30%pause->panic", 1, roll: 30) == [.panic("")])
        #expect(try self.actions("0%pause", 1, roll: 0) == [.off])
        // A term that is not chosen is not used up.
        var plan = try FailpointPlan("50%1*pause")
        #expect(plan.next(roll: { 70 }) == .off)
        #expect(plan.next(roll: { 20 }) == .pause)
        #expect(plan.next(roll: { 20 }) == .off)
    }

    @Test(arguments: [
        ("", "expected an action"), ("jump", "there is no action 'jump'"), ("5return", "'%' or '*'"),
        ("101%off", "at most 100%"), ("1.5*off", "whole number"), ("sleep", "whole milliseconds"),
        ("sleep(soon)", "whole milliseconds"), ("return(1", "expected ')'"), ("return(\"1)", "quotation mark"),
        ("off off", "'->' or the end"), ("off->", "expected an action"), ("pause(1)", "no argument"),
    ])
    func mistakesAreNamed(text: String, message: String) throws {
        let error = #expect(throws: FailpointError.self) { try FailpointPlan(text) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("'\(text)'") == true)
    }

    @Test func valuesAreReadAsWhatTheyAre() {
        #expect(FailpointValue("12").integer == 12)
        #expect(FailpointValue("x").integer == nil)
        #expect(FailpointValue("").isTrue)
        #expect(FailpointValue("true").isTrue)
        #expect(!FailpointValue("false").isTrue)
    }

    @Test func environmentNamesFailpointsAndActions() throws {
        let found = try FailpointScope.parse(environment: "beforeCommit=pause; resolveLock=1*return(\"a=b\")->off;")
        #expect(found.map(\.failpoint) == [.beforeCommit, .resolveLock])
        #expect(found.map(\.action) == ["pause", "1*return(\"a=b\")->off"])
        #expect(throws: FailpointError.unknownName("nothing")) {
            try FailpointScope.parse(environment: "nothing=off")
        }
        #expect(throws: FailpointError.self) { try FailpointScope.parse(environment: "beforeCommit") }
        #expect(throws: FailpointError.self) { try FailpointScope.parse(environment: "beforeCommit=jump") }
    }
}

#endif
