# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""dev/check-coverage: passes a consistent tree, and each of its checks fails when it should."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "dev" / "check-coverage"

COVERAGE = """# Coverage

An introduction.

## Integration tests (3 cases)

### a_test.go (2 cases)

| case | test | note |
|---|---|---|
| TestA | UnitTests/MapTests/splits() | |
| TestA | not yet | suite set-up |

### raw/b_test.go (1 case)

| case | test | note |
|---|---|---|
| TestB | UnitTests/MapTests/merges(count:_:)<br>`UnitTests/MapTests/Nested/deep()` | |

## Unit tests (2 cases)

### c_test.go (2 cases)

| case | test | note |
|---|---|---|
| TestC#01 | Tests/Foreign/test_peer.py::TestPeer::test_get | |
| TestC#02 | not yet | |
"""

FEATURES = """# Features (5 rows)

## 1. Raw key-value (3 rows)

| feature | public symbol | test |
|---|---|---|
| Get / put | RawClient.put(_:value:ttl:)<br>RawClient.get(_:) | UnitTests/MapTests/splits() |
| Batching | internal: Batcher.flush(now:) | not yet |
| Scan | cli: raw scan-all | UnitTests/free() |

## 2. Options (2 rows)

| feature | public symbol | test |
|---|---|---|
| TTL | not yet | UnitTests/MapTests/Nested/deeper() |
| `limit` | not yet | not yet |
"""

SWIFT_TESTS = r'''
import Testing

// @Test func inComment() {} } } {
/* nested /* comments */ @Test func alsoInComment() {} */
@Suite("named") struct MapTests {
    @Test(arguments: 0..<3, ["a)"]) func merges(count: [Bool] = [0..<3 == f, 1 < 2], _ names: [String: Int] = [:]) {
        let text = #"a " { \"# + "\(f("{"))" + """
            { " @Test func inString() {}
            """
        let pattern = #/"{/#
        func local(actor: Int) { run { actor in actor } }
        #expect(count < 3)
    }
    func notATest() {}
    struct Nested { @Test @MainActor func deep<T: P<Int>>() async throws {} }
}
extension MapTests {
    @available(macOS 15, *) @Test("splits { a region", .enabled(if: true) { true }) func splits() {}
}
extension MapTests.Nested { @Test func deeper() {} }
@Test func free() {}
'''

SWIFT_SOURCES = """
package final class Batcher {
    package enum State { case idle, busy(Int), done }
    let limit = 3
    init(limit: Int) {}
    func flush(now: Bool) { let local = 1 }
}
"""

CLI_SOURCES = """
struct Raw: AsyncParsableCommand {}
extension Raw { struct ScanAll: ParsableCommand {} }
struct Other: ParsableCommand { static let configuration = CommandConfiguration(commandName: "bench") }
"""

PYTHON_TESTS = """
class TestPeer:
    def test_get(self): pass
"""

PYTEST_RESULTS = """<testsuites><testsuite name="pytest">
<testcase classname="Tests.Foreign.test_peer.TestPeer" name="test_get[1]" />
<testcase classname="Tests.Foreign.test_peer.TestPeer" name="test_get[a/b[]]" />
</testsuite></testsuites>"""

PASSING = ["testStarted", "testEnded"]

RUN = {
    "UnitTests.MapTests/splits()/Map.swift:1:2": PASSING,
    "UnitTests.MapTests/merges(count:_:)/Map.swift:2:2": ["testStarted", "testCaseEnded", "testCaseEnded", "testEnded"],
    "UnitTests.MapTests/Nested/deep()/Map.swift:3:2": PASSING,
    "UnitTests.MapTests/Nested/deeper()/Map.swift:4:2": PASSING,
    "UnitTests.free()/Map.swift:5:2": PASSING,
}
SPLITS = "UnitTests.MapTests/splits()/Map.swift:1:2"


def event_stream(run, ended=True):
    """The JSON lines that Swift Testing writes, reduced to what counts; an event is its kind, or a payload."""
    records = [("test", {"kind": "suite", "id": "UnitTests.MapTests"})]
    records += [("test", {"kind": "function", "id": test}) for test in run]
    for test, events in run.items():
        for event in events:
            payload = event if isinstance(event, dict) else {"kind": event}
            records.append(("event", {"testID": test, **payload}))
    if ended:
        records.append(("event", {"kind": "runEnded"}))
    return "".join(json.dumps({"kind": kind, "payload": payload}) + "\n" for kind, payload in records)


def issue(**fields):
    return {"kind": "issueRecorded", "issue": {"isKnown": False, "isFailure": True, **fields}}


def symbol_graph(*paths, access="public"):
    return json.dumps({"symbols": [{"pathComponents": path.split("."), "accessLevel": access} for path in paths]})


HEAD = "file\tcase\tbehaviour\n"
INTEGRATION_CASES = HEAD + "a_test.go\tTestA\t1\na_test.go\tTestA\t2\nraw/b_test.go\tTestB\t3\n"
UNIT_CASES = HEAD + "c_test.go\tTestC#01\t1\nc_test.go\tTestC#02\t2\n"

FEATURE_LIST = """## 1. Raw
| Feature | Go |
|---|---|
| Get / put | yes |
| Batching | no |
| Scan | no |

## 2. Options

Text.

| Option | Go |
|---|---|
| TTL | no |
| `limit` | no |

## 3. Summary

Text.
"""

MORE_FEATURES = "| Option | Go |\n|---|---|\n| CF | no |\n"


class Tree:
    """A small repository whose documents hold, with everything that they are checked against."""

    def __init__(self, root):
        self.root = root
        self.write("docs/coverage.md", COVERAGE)
        self.write("docs/features.md", FEATURES)
        self.write("Tests/UnitTests/MapTests.swift", SWIFT_TESTS)
        self.write("Tests/Foreign/test_peer.py", PYTHON_TESTS)
        self.write("Sources/TiKV/Batcher.swift", SWIFT_SOURCES)
        self.write("Sources/CLI/Main.swift", CLI_SOURCES)
        self.write("results/swift.jsonl", event_stream(RUN))
        self.write("results/pytest.xml", PYTEST_RESULTS)
        self.write("symbols/TiKV.symbols.json", symbol_graph("RawClient", "RawClient.put(_:value:ttl:)"))
        self.write("symbols/TiKV@Swift.symbols.json", symbol_graph("RawClient.get(_:)"))
        self.write("yardstick/parity/integration.tsv", INTEGRATION_CASES)
        self.write("yardstick/parity/unit.tsv", UNIT_CASES)
        self.write("yardstick/features.md", FEATURE_LIST)

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def replace(self, path, old, new):
        text = (self.root / path).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
        self.write(path, text.replace(old, new))

    def check(self, *arguments):
        command = [sys.executable, SCRIPT, "--root", self.root, *arguments]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, timeout=60)

    def check_all(self):
        results = ["results/swift.jsonl", "results/pytest.xml"]
        return self.check("--against", "yardstick", "--symbols", "symbols", "--results", *results)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def assert_fails(run, *messages):
    """Exactly these problems, one line each."""
    lines = run.stderr.splitlines()
    assert run.returncode == 1, run
    assert len(lines) == len(messages), run.stderr
    for line, message in zip(lines, messages):
        assert message in line


def assert_usage_error(run, message):
    assert run.returncode == 2, run
    assert message in run.stderr


def test_consistent_tree_passes(tree):
    run = tree.check_all()
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "coverage: 2 of 3 integration cases, 1 of 2 unit cases, 2 of 5 features\n"


def test_checks_that_are_left_out_are_said_to_be(tree):
    run = tree.check("--against", "nowhere")
    assert run.returncode == 0
    assert "not compared with the yardsticks: nowhere is not there" in run.stdout
    assert "results not checked" in run.stdout
    assert "public symbols not checked" in run.stdout
    assert "not compared with the yardsticks: no --against" in tree.check().stdout


def test_problem_names_file_and_line(tree):
    tree.replace("docs/coverage.md", "| TestA | not yet |", "| TestA | |")
    assert_fails(tree.check_all(), "docs/coverage.md:12: empty test cell")


COVERAGE_FAULTS = {
    "row lost": ("| TestC#02 | not yet | |\n", "", ["states 2 rows, there are 1"] * 2),
    "row added": ("| TestC#02 | not", "| TestD | not yet | |\n| TestC#02 | not", ["states 2 rows, there are 3"] * 2),
    "section's count": ("c_test.go (2 cases)", "c_test.go (3 cases)", ["states 3 rows, there are 2"]),
    "part's count": ("Unit tests (2 cases)", "Unit tests (4 cases)", ["states 4 rows, there are 2"]),
    "part lost": ("## Unit tests (2 cases)\n", "", ["has the parts ['Integration']", "states 3 rows, there are 5"]),
    "section twice": ("raw/b_test.go (1", "a_test.go (1", ["2 sections named a_test.go"]),
    "heading of a part": ("## Unit tests (2 cases)", "## Unit tests", ["of the form '## Integration|Unit tests (N"]),
    "no heading of a part": ("## Integration tests (3 cases)", "", ["section outside any", "table outside any"]),
    "heading of a section": ("### c_test.go (2 cases)", "### c_test.go", ["is not of the form '### FILE (N cases)'"]),
    "head of a table": ("(1 case)\n\n| case | test | note |", "(1 case)\n\n| case | test |", ["head of the table"]),
    "rule of a table": ("|---|---|---|\n| TestB", "| TestB", ["no rule"]),
    "table in pieces": ("| TestC#02", "\n| TestC#02", ["second table"]),
    "cell too many": ("| TestC#02 | not yet | |", "| TestC#02 | not yet | | |", ["4 cells in place of 3"]),
    "cell too few": ("| TestC#02 | not yet | |", "| TestC#02 | not yet |", ["2 cells in place of 3"]),
    "empty case cell": ("| TestC#02 |", "| |", ["row without a name"]),
    "empty test cell": ("| TestC#02 | not yet |", "| TestC#02 | |", ["empty test cell"]),
    "other word for not yet": ("| TestC#02 | not yet |", "| TestC#02 | todo |", ["nor a test: 'todo'"]),
    "half not yet": ("splits() |", "splits()<br>not yet |", ["neither 'not yet' nor a test: 'not yet'"]),
    "test without brackets": ("splits() |", "splits |", ["neither 'not yet' nor a test"]),
    "suite in place of a test": ("splits() |", "MapTests |", ["neither 'not yet' nor a test"]),
    "names without <br>": ("splits() |", "splits(), UnitTests/free() |", ["neither 'not yet' nor a test"]),
    "no such test": ("MapTests/splits() |", "MapTests/splitz() |", ["no such test: UnitTests/MapTests/splitz()"]),
    "function that is no test": ("MapTests/splits() |", "MapTests/notATest() |", ["no such test"]),
    "other labels": ("merges(count:_:)", "merges(count:)", ["no such test"]),
    "other suite": ("MapTests/Nested/deep()", "MapTests/deep()", ["no such test"]),
    "other target": ("UnitTests/MapTests/splits() |", "E2ETests/MapTests/splits() |", ["no such test"]),
    "test in a comment": ("MapTests/splits() |", "MapTests/inComment() |", ["no such test"]),
    "test in a nested comment": ("MapTests/splits() |", "alsoInComment() |", ["no such test"]),
    "test in a string": ("MapTests/splits() |", "MapTests/inString() |", ["no such test"]),
    "no such Python file": ("test_peer.py::", "test_poor.py::", ["no such test"]),
    "no such Python class": ("::TestPeer::", "::TestPoor::", ["no such test"]),
    "no such Python test": ("::test_get", "::test_put", ["no such test"]),
    "Python class in place of a test": ("::TestPeer::test_get", "::TestPeer", ["no such test"]),
}


@pytest.mark.parametrize("fault", COVERAGE_FAULTS)
def test_fault_in_coverage(tree, fault):
    old, new, messages = COVERAGE_FAULTS[fault]
    tree.replace("docs/coverage.md", old, new)
    run = tree.check()
    assert run.returncode == 1, run
    for message in messages:
        assert message in run.stderr
    assert len(run.stderr.splitlines()) >= len(messages)


FEATURE_FAULTS = {
    "row lost": ("| Batching | internal: Batcher.flush(now:) | not yet |\n", "", "states 3 rows, there are 2"),
    "total": ("# Features (5 rows)", "# Features (4 rows)", "states 4 rows, there are 5"),
    "no total": ("# Features (5 rows)", "# Features", "heading is not of the form"),
    "number left out": ("## 2. Options", "## 3. Options", "sections are numbered [1, 3]"),
    "section without number": ("## 2. Options", "## Options", "heading is not of the form"),
    "empty symbol cell": ("| `limit` | not yet |", "| `limit` | |", "empty symbol cell"),
    "empty test cell": ("| `limit` | not yet | not yet |", "| `limit` | not yet | |", "empty test cell"),
    "sentence for a symbol": ("| `limit` | not yet |", "| `limit` | see the docs |", "nor a symbol: 'see the docs'"),
    "symbol without labels' colons": ("RawClient.get(_:)", "RawClient.get(_)", "nor a symbol"),
    "no such test": ("UnitTests/free()", "UnitTests/freed()", "no such test: UnitTests/freed()"),
    "no such public symbol": ("RawClient.get(_:)", "RawClient.got(_:)", "no such public symbol: RawClient.got(_:)"),
    "member without its type": ("RawClient.get(_:)", "get(_:)", "no such public symbol: get(_:)"),
    "no such internal symbol": ("flush(now:)", "flush(then:)", "not declared in Sources: Batcher.flush(then:)"),
    "local variable": ("Batcher.flush(now:)", "Batcher.local", "not declared in Sources"),
    "no such command": ("cli: raw scan-all", "cli: raw scan", "no such command in Sources/CLI: raw scan"),
    "command that is renamed": ("cli: raw scan-all", "cli: Other", "nor a symbol"),
}


@pytest.mark.parametrize("fault", FEATURE_FAULTS)
def test_fault_in_features(tree, fault):
    old, new, message = FEATURE_FAULTS[fault]
    tree.replace("docs/features.md", old, new)
    run = tree.check("--symbols", "symbols")
    assert run.returncode == 1, run
    assert message in run.stderr


@pytest.mark.parametrize("document", ["docs/coverage.md", "docs/features.md"])
def test_document_is_gone(tree, document):
    (tree.root / document).unlink()
    run = tree.check()
    assert run.returncode == 1
    assert f"{document}: not there" in run.stderr


@pytest.mark.parametrize(
    "name",
    ["Batcher", "Batcher.flush", "Batcher.limit", "Batcher.init(limit:)", "Batcher.State.busy", "Batcher.State.done"],
)
def test_internal_declarations_are_found(tree, name):
    tree.replace("docs/features.md", "Batcher.flush(now:)", name)
    assert tree.check_all().returncode == 0


def test_internal_symbol_that_is_public(tree):
    tree.write("symbols/Other.symbols.json", symbol_graph("Batcher.flush(now:)"))
    assert_fails(tree.check_all(), "is public, so not 'internal:': Batcher.flush(now:)")


def test_symbol_in_the_graph_at_a_lower_level(tree):
    tree.write("symbols/TiKV@Swift.symbols.json", symbol_graph("RawClient.get(_:)", access="package"))
    assert_fails(tree.check_all(), "no such public symbol: RawClient.get(_:)")


def test_command_by_its_given_name(tree):
    tree.replace("docs/features.md", "cli: raw scan-all", "cli: bench")
    assert tree.check_all().returncode == 0


UNIT, INTEGRATION, LIST = "parity/unit.tsv", "parity/integration.tsv", "features.md"
LAST_CASE = "raw/b_test.go\tTestB\t3\n"

YARDSTICK_FAULTS = {
    "case lost": (UNIT, "TestC#02", "TestC#03", ["no row for TestC#03", "no such row (any more): TestC#02"]),
    "name once more": (INTEGRATION, LAST_CASE, LAST_CASE + "a_test.go\tTestA\t4\n", ["a_test.go: no row for TestA"]),
    "name once less": (INTEGRATION, "a_test.go\tTestA\t2\n", "", ["no such row (any more): TestA"]),
    "case moved": (
        INTEGRATION,
        "a_test.go\tTestA\t2",
        "raw/b_test.go\tTestA\t2",
        ["a_test.go: the yardstick has no such row", "raw/b_test.go: no row for TestA"],
    ),
    "file lost": (UNIT, "TestC#01\t1\n", "TestC#01\t1\nd_test.go\tTestD\t1\n", ["Unit: no section for d_test.go"]),
    "file too many": (INTEGRATION, LAST_CASE, "", ["the yardstick has no section raw/b_test.go"]),
    "feature lost": (LIST, "| Scan | no |", "| Scan | no |\n| TTL | no |", ["1: no row for TTL"]),
    "feature too many": (LIST, "| Scan | no |\n", "", ["1: the yardstick has no such row (any more): Scan"]),
    "feature section lost": (LIST, "## 3. Summary\n", "## 3. More\n\n" + MORE_FEATURES, ["no section for 3"]),
    "second table of features": (LIST, "## 3. Summary\n", MORE_FEATURES, ["2: no row for CF"]),
}


@pytest.mark.parametrize("fault", YARDSTICK_FAULTS)
def test_fault_against_the_yardsticks(tree, fault):
    path, old, new, messages = YARDSTICK_FAULTS[fault]
    tree.replace(f"yardstick/{path}", old, new)
    assert_fails(tree.check_all(), *messages)


OLDER_ISSUE = {"kind": "issueRecorded", "issue": {"isKnown": False}}

RUN_FAULTS = {
    "skipped": (["testSkipped"], "was skipped or cancelled"),
    "cancelled": (["testStarted", "testCancelled", "testEnded"], "was skipped or cancelled"),
    "one case cancelled": (["testStarted", "testCaseCancelled", "testEnded"], "was skipped or cancelled"),
    "failed": (["testStarted", issue(), "testEnded"], "failed"),
    "failed, as older streams say it": (["testStarted", OLDER_ISSUE, "testEnded"], "failed"),
    "known issue": (["testStarted", issue(isKnown=True, isFailure=False), "testEnded"], "has a known issue"),
    "never ended": (["testStarted"], "did not end"),
    "never started": ([], "did not end"),
}


@pytest.mark.parametrize("fault", RUN_FAULTS)
def test_fault_in_a_swift_run(tree, fault):
    events, message = RUN_FAULTS[fault]
    tree.write("results/swift.jsonl", event_stream({**RUN, SPLITS: events}))
    # Both documents name the test.
    assert_fails(tree.check_all(), *[f"UnitTests/MapTests/splits() {message}"] * 2)


def test_warning_is_no_failure(tree):
    warned = ["testStarted", issue(isFailure=False), "testEnded"]
    tree.write("results/swift.jsonl", event_stream({**RUN, SPLITS: warned}))
    assert tree.check_all().returncode == 0


def test_swift_test_that_was_not_run(tree):
    tree.write("results/swift.jsonl", event_stream({test: RUN[test] for test in RUN if test != SPLITS}))
    assert_fails(tree.check_all(), *["UnitTests/MapTests/splits() is not in the results"] * 2)


def test_same_test_in_another_target_does_not_count(tree):
    run = {test.replace("UnitTests.Map", "E2ETests.Map"): events for test, events in RUN.items()}
    tree.write("results/swift.jsonl", event_stream(run))
    assert "UnitTests/MapTests/splits() is not in the results" in tree.check_all().stderr


def test_run_that_crashed(tree):
    tree.write("results/swift.jsonl", event_stream(RUN, ended=False))
    assert_fails(tree.check_all(), "results/swift.jsonl: the test run did not end")


PYTEST_FAULTS = {
    "failed": ("test_get[1]\" />", "test_get[1]\"><failure /></testcase>", "failed"),
    "error": ("test_get[1]\" />", "test_get[1]\"><error /></testcase>", "failed"),
    "one case skipped": ("test_get[1]\" />", "test_get[1]\"><skipped /></testcase>", "was skipped or cancelled"),
}


@pytest.mark.parametrize("fault", PYTEST_FAULTS)
def test_fault_in_a_python_run(tree, fault):
    old, new, message = PYTEST_FAULTS[fault]
    tree.replace("results/pytest.xml", old, new)
    assert_fails(tree.check_all(), f"Tests/Foreign/test_peer.py::TestPeer::test_get {message}")


def test_python_test_that_was_not_run(tree):
    run = tree.check("--results", "results/swift.jsonl")
    assert_fails(run, "Tests/Foreign/test_peer.py::TestPeer::test_get is not in the results")


def test_skipped_in_one_run_and_passed_in_another(tree):
    tree.write("results/second.jsonl", event_stream({SPLITS: ["testSkipped"]}))
    results = ["results/second.jsonl", "results/swift.jsonl", "results/pytest.xml"]
    assert tree.check("--results", *results).returncode == 0


def test_failed_in_one_run_and_passed_in_another(tree):
    tree.write("results/second.jsonl", event_stream({SPLITS: ["testStarted", issue(), "testEnded"]}))
    results = ["results/second.jsonl", "results/swift.jsonl", "results/pytest.xml"]
    assert_fails(tree.check("--results", *results), *["splits() failed"] * 2)


def test_wrong_usage(tree):
    assert_usage_error(tree.check("--nonsense"), "unrecognized arguments")
    assert_usage_error(tree.check("--results", "results/none.jsonl"), "results/none.jsonl: No such file")
    assert_usage_error(tree.check("--symbols", "results"), "results: no *.symbols.json there")


def test_results_that_are_none(tree):
    tree.write("results/text", "all passed\n")
    assert_usage_error(tree.check("--results", "results/text"), "neither an event stream nor JUnit XML")
    tree.write("results/cut.xml", "<testsuites>")
    assert_usage_error(tree.check("--results", "results/cut.xml"), "neither an event stream nor JUnit XML")


def test_swift_xunit_is_refused(tree):
    tree.write("results/xunit.xml", '<testsuites><testsuite name="TestResults"></testsuite></testsuites>')
    assert_usage_error(tree.check("--results", "results/xunit.xml"), "give an event stream")


def test_yardsticks_that_are_incomplete(tree):
    (tree.root / "yardstick/parity/unit.tsv").unlink()
    assert_usage_error(tree.check_all(), "unit.tsv: No such file")
