# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""tikv-cli as its user meets it: output, exit codes, and one clear line on standard error when something is wrong."""

import json
import os
import re
import signal
import subprocess

import pytest
import tikv_client
from conftest import CLI, ROOT, OurClient, Playground

DATA = ROOT / "demo-data" / "UnicodeData.txt"
FAILED, USAGE, CLOSED = 2, 64, 141


def assert_one_line(result, code, text):
    """The command failed with this exit code, and one line that has `text` in it, on standard error alone."""
    assert result.returncode == code
    assert result.stdout == ""
    assert re.fullmatch(r"tikv-cli: [^\n]+\n", result.stderr)
    assert text in result.stderr


# --- Wrong arguments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["raw", "get"], "<keys>"),
        (["raw", "put", "a"], "<value>"),
        (["raw", "nothing"], "nothing"),
        (["nothing"], "nothing"),
        (["raw", "get", "--no-such-option", "a"], "--no-such-option"),
        (["raw", "get", "--hex", "zz"], "hexadecimal"),
        (["raw", "get", "--hex", "abc"], "odd"),
        (["raw", "get", "--hex", "--raw", "ab"], "exclude"),
        (["raw", "get", r"a\q"], "escape"),
        (["raw", "get", "--timeout", "soon", "a"], "seconds"),
        (["raw", "get", "--timeout", "0", "a"], "more than 0"),
        (["raw", "get", "--pd", ",", "a"], "--pd"),
        (["raw", "scan", "--limit", "-1"], "limit"),
        (["raw", "scan", "--prefix", "a", "--from", "b"], "--prefix"),
        (["raw", "delete-range"], "--all"),
        (["raw", "delete-range", "--all", "--prefix", "a"], "--all"),
        (["raw", "import", "--separator", "", "file"], "separator"),
        (["raw", "get", "--tls-cert", "a", "a"], "--tls-key"),
        (["raw", "get", "--tls-key", "a", "a"], "--tls-cert"),
        (["raw", "get", "--tls-ca", "", "a"], "--tls-ca"),
        (["playground", "--pd-port", "70000"], "65535"),
        (["playground", "--tls-cert", "a"], "--tls-key"),
        (["playground", "--tls-client-ca", "a"], "--tls-cert"),
        (["playground", "--tls-dir", "a", "--tls-cert", "a", "--tls-key", "a"], "--tls-dir"),
        (["playground", "--stores", "0"], "--stores"),
        (["demo", "--stores", "1"], "--stores"),
        (["bench", "raw", "--operation", "fly"], "fly"),
        (["bench", "raw", "--operation", "get", "--in-flight", "0"], "--in-flight"),
    ],
)
def test_wrong_arguments(arguments, text):
    assert_one_line(OurClient("").run(*arguments), USAGE, text)


@pytest.mark.parametrize("arguments", [["--help"], ["raw", "--help"], ["raw", "import", "--help"], ["playground", "--help"]])
def test_help(arguments):
    result = OurClient("").run(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert "USAGE: tikv-cli" in result.stdout


# --- A cluster that is not there --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pd", ["127.0.0.1:1", "no-such-host.invalid:2379"])
@pytest.mark.parametrize("arguments", [["get", "a"], ["put", "a", "b"], ["scan"], ["delete-range", "--all"]])
def test_unreachable_pd(pd, arguments):
    result = OurClient(pd).raw(arguments[0], "--timeout", "1", *arguments[1:])
    assert_one_line(result, FAILED, pd)


def test_pd_address_that_is_none():
    assert_one_line(OurClient("127.0.0.1:99999").raw("get", "a"), FAILED, "127.0.0.1:99999")


# --- Output that cannot be written ------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["raw", "get", "a"], ["raw", "scan"], ["--help"]])
def test_full_disk(ours, arguments):
    ours.raw_done("put", "a", "b")
    connect = ["--pd", ours.pd] if arguments[0] == "raw" else []
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [CLI, *arguments, *connect], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert result.returncode == FAILED
    assert re.fullmatch(r"tikv-cli: [^\n]*No space left on device\n", result.stderr)


def test_playground_that_cannot_say_it_is_ready():
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [CLI, "playground", "--pd-port", "0"],
            stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
        )
    assert result.returncode == FAILED
    assert re.fullmatch(r"tikv-cli: [^\n]*No space left on device\n", result.stderr)


def test_reader_that_goes_away(ours):
    """As in `tikv-cli raw scan | head -1`: nothing to complain of."""
    ours.raw_done("import", str(DATA), "--raw", "--separator", ";")
    reading, writing = os.pipe()
    scan = subprocess.Popen(
        [CLI, "raw", "scan", "--pd", ours.pd], stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    os.read(reading, 100)
    os.close(reading)
    _, complaint = scan.communicate(timeout=60)
    assert (scan.returncode, complaint) == (CLOSED, "")


# --- raw --------------------------------------------------------------------------------------------------------------


def test_put_get_delete(ours):
    assert ours.raw_done("put", "key", "value") == ""
    assert ours.raw_done("get", "key") == "value\n"
    assert ours.raw_done("delete", "key", "never there") == ""
    assert_one_line(ours.raw("get", "key"), 1, "no such key: key")


def test_get_of_several(ours):
    ours.raw_done("put", "a", "1")
    ours.raw_done("put", "z", "26")
    assert ours.raw_done("get", "z", "a") == "z\t26\na\t1\n"
    result = ours.raw("get", "a", "nothing", "z")
    assert (result.returncode, result.stdout) == (1, "a\t1\nz\t26\n")
    assert result.stderr == "tikv-cli: no such key: nothing\n"


def test_empty_key(ours):
    for arguments in [["get", ""], ["put", "", "value"], ["delete", ""]]:
        assert_one_line(ours.raw(*arguments), FAILED, "empty")


def test_key_that_is_too_long(ours):
    assert_one_line(ours.raw("get", "k" * 100_000), FAILED, "key")


def test_reversed_range(ours):
    for command in ["scan", "delete-range"]:
        assert ours.raw(command, "--from", "b", "--to", "a").returncode == FAILED


def test_notations(ours):
    ours.raw_done("put", r"a\x00\t", r"line\nbackslash\\é\xff")
    assert ours.raw_done("get", "--hex", "610009") == "6c696e650a6261636b736c6173685cc3a9ff\n"
    assert ours.raw_done("scan") == "a\\x00\\t\tline\\nbackslash\\\\é\\xff\n"
    ours.raw_done("put", "--raw", r"a\x00", r"as it is\n")
    assert ours.raw_done("get", "--raw", r"a\x00") == r"as it is\n"


def test_scan(ours):
    for key in "abekqz":
        ours.raw_done("put", key, key.upper())
    assert ours.raw_done("scan") == "a\tA\nb\tB\ne\tE\nk\tK\nq\tQ\nz\tZ\n"
    assert ours.raw_done("scan", "--from", "b", "--to", "q", "--keys-only") == "b\ne\nk\n"
    assert ours.raw_done("scan", "--reverse", "--limit", "2") == "z\tZ\nq\tQ\n"
    assert ours.raw_done("scan", "--prefix", "k") == "k\tK\n"
    assert ours.raw_done("scan", "--limit", "0") == ""
    assert ours.raw_done("scan", "--from", "c", "--to", "d") == ""


def test_delete_range(ours):
    for key in "abekqz":
        ours.raw_done("put", key, key.upper())
    ours.raw_done("delete-range", "--from", "b", "--to", "q")
    assert ours.raw_done("scan", "--keys-only") == "a\nq\nz\n"
    ours.raw_done("delete-range", "--prefix", "q")
    assert ours.raw_done("scan", "--keys-only") == "a\nz\n"


# --- raw import -------------------------------------------------------------------------------------------------------


def test_import_of_real_data(ours):
    result = ours.raw("import", str(DATA), "--raw", "--separator", ";", "--prefix", "unicode/")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("imported 34,924 records (")
    assert ours.raw_done("get", "unicode/03A9").startswith("GREEK CAPITAL LETTER OMEGA;")
    assert ours.raw_done("scan", "--keys-only").count("\n") == 34924


def test_import_reads_what_scan_prints(ours, tmp_path):
    ours.raw_done("put", "--hex", "0001ff", "0a0d095c00")
    ours.raw_done("put", "z", "plain")
    printed = ours.raw_done("scan")
    (tmp_path / "printed").write_text(printed)
    ours.raw_done("delete-range", "--all")
    assert ours.raw_done("import", str(tmp_path / "printed")).startswith("imported 2 records")
    assert ours.raw_done("scan") == printed


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a\t1\nb\t2\nno tab here\n", ":3: no tab between key and value (the 2 records before it are in)"),
        ("a\t1\nb\t2\n\n\tvalue\n", ":4: the line has an empty key (the 2 records before it are in)"),
        ("a\t1\nb\t2\nc\\q\t3\n", ":3: the line has an escape other than"),
    ],
)
def test_import_of_a_bad_line(ours, tmp_path, content, text):
    (tmp_path / "bad").write_text(content)
    assert_one_line(ours.raw("import", str(tmp_path / "bad")), FAILED, text)
    assert ours.raw_done("scan") == "a\t1\nb\t2\n"


def test_import_of_nothing(ours, tmp_path):
    (tmp_path / "empty").write_text("")
    assert ours.raw_done("import", str(tmp_path / "empty")).startswith("imported 0 records")


def test_last_line_without_end(ours, tmp_path):
    (tmp_path / "file").write_text("a\t1\nb\t2")
    ours.raw_done("import", str(tmp_path / "file"))
    assert ours.raw_done("scan") == "a\t1\nb\t2\n"


def test_unreadable_file(ours, tmp_path):
    assert_one_line(ours.raw("import", str(tmp_path / "none")), FAILED, "No such file or directory")
    assert_one_line(ours.raw("import", str(tmp_path)), FAILED, "Is a directory")
    assert_one_line(ours.run("demo", "--data", str(tmp_path / "none")), FAILED, "No such file or directory")


def test_progress_shows_on_a_terminal_only(ours):
    """Standard error is a terminal here; the tests above have shown that nothing comes where it is none."""
    terminal, end = os.openpty()
    arguments = ["raw", "import", str(DATA), "--raw", "--separator", ";", "--pd", ours.pd]
    done = subprocess.run([CLI, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=end, timeout=60)
    os.close(end)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert done.returncode == 0
    assert re.search(r"[\d,]+ records \d+ % of the file read", shown)
    assert shown.endswith("\r\x1b[K")


# --- playground, demo, bench ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_playground_ends_by_signal(number):
    playground = Playground("--stores", "2")
    assert re.fullmatch(r"ready pd=127\.0\.0\.1:[1-9]\d* stores=2\n", playground.ready_line)
    assert playground.stop(number) == (0, "")


def test_playground_ends_while_a_client_is_connected(loop):
    playground = Playground()
    client = tikv_client.RawClient.connect([playground.pd])
    client.put(b"a", b"1")
    assert playground.stop() == (0, "")


def test_playground_takes_the_port_it_is_given():
    first = Playground()
    port = first.pd.rsplit(":", 1)[1]
    assert_one_line(OurClient("").run("playground", "--pd-port", port), FAILED, port)
    assert first.stop() == (0, "")
    second = Playground("--pd-port", port)
    assert second.pd == f"127.0.0.1:{port}"
    assert second.stop() == (0, "")


def test_demo():
    result = OurClient("").run("demo", "--data", str(DATA))
    assert (result.returncode, result.stderr) == (0, "")
    assert "34,924 records" in result.stdout
    assert "no errors" in result.stdout
    before, after = map(int, re.search(r"(\d+) → (\d+) regions during", result.stdout).groups())
    assert 4 <= before < after
    assert int(re.search(r"(\d+) leaders moved during", result.stdout).group(1)) >= 1
    assert "480 of 8 tasks" in result.stdout
    assert "the accounts have 100,000 together" in result.stdout
    assert "attempt 2 counted on to 42" in result.stdout
    assert "waited for another's lock" in result.stdout
    transactions = ["transfer", "scan, snapshot", "conflict", "lock wait"]
    for operation in ["batch put", "get", "put", "scan", "batch get"] + transactions:
        assert re.search(rf"^  {operation} +[1-9]", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("operation", ["get", "put"])
def test_bench(ours, operation):
    arguments = ["--operation", operation, "--count", "200", "--in-flight", "4", "--keys", "100", "--warm-up", "0"]
    result = ours.run("bench", "raw", "--pd", ours.pd, "--json", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    measured = json.loads(result.stdout)
    assert (measured["count"], measured["in_flight"], measured["operation"]) == (200, 4, f"raw_{operation}")
    assert 0 < measured["p50_us"] <= measured["p99_us"] <= measured["max_us"]


# --- txn --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh():
    """Our client, and a cluster of its own, whose regions are not those of raw keys."""
    playground = Playground("--stores", "1")
    yield OurClient(playground.pd)
    assert playground.stop() == (0, "")


def txn(ours, command, *arguments):
    return ours.run("txn", command, "--pd", ours.pd, *arguments)


def txn_done(ours, command, *arguments):
    result = txn(ours, command, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize(
    "arguments, committed",
    [
        ([], "twoPhase"),
        (["--pessimistic"], "twoPhase"),
        (["--commit", "async"], "async"),
        (["--commit", "one-phase"], "onePhase"),
        (["--commit", "one-phase", "--pessimistic", "--operation", "hot"], "onePhase"),
    ],
)
def test_bench_of_transactions(fresh, arguments, committed):
    """Every transaction is committed the way that was asked for, and the result says so."""
    common = ["--operation", "write", "--count", "50", "--in-flight", "4", "--keys", "1000", "--warm-up", "0", "--json"]
    result = fresh.run("bench", "txn", "--pd", fresh.pd, *common, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    measured = json.loads(result.stdout)
    assert measured["commits"] == {committed: 50}
    assert measured["count"] == 50


def test_transactions(fresh):
    assert txn_done(fresh, "put", "a", "1", "b", "2", "c", "3") == ""
    assert txn_done(fresh, "get", "a") == "1\n"
    assert txn_done(fresh, "get", "c", "a") == "c\t3\na\t1\n"
    assert txn_done(fresh, "scan", "--from", "b") == "b\t2\nc\t3\n"
    assert txn_done(fresh, "scan", "--reverse", "--limit", "2", "--keys-only") == "c\nb\n"
    assert txn_done(fresh, "delete", "b", "never there", "--pessimistic") == ""
    assert txn_done(fresh, "scan") == "a\t1\nc\t3\n"
    result = txn(fresh, "get", "a", "b")
    assert (result.returncode, result.stdout) == (1, "a\t1\n")
    assert result.stderr == "tikv-cli: no such key: b\n"


def test_transactions_of_the_past(fresh):
    before = txn_done(fresh, "put", "--timestamp", "k", "old").strip()
    after = txn_done(fresh, "put", "--timestamp", "--pessimistic", "k", "new").strip()
    assert int(before) < int(after)
    assert txn_done(fresh, "get", "k", "--at", before) == "old\n"
    assert txn_done(fresh, "get", "k", "--at", after) == "new\n"
    assert txn_done(fresh, "scan", "--at", before) == "k\told\n"
    assert_one_line(txn(fresh, "get", "k", "--ago", "3600"), 1, "no such key")
    assert_one_line(txn(fresh, "get", "k", "--at", str(int(after) + (10**6 << 18))), FAILED, "future")


def test_a_transaction_takes_effect_as_a_whole(fresh):
    txn_done(fresh, "put", "taken", "1")
    assert_one_line(txn(fresh, "put", "--if-absent", "free", "2", "taken", "2"), 1, "taken has a value already")
    assert txn_done(fresh, "scan") == "taken\t1\n"
    assert txn_done(fresh, "put", "--if-absent", "free", "2") == ""
    assert_one_line(txn(fresh, "put", "odd"), 64, "each key needs a value")
    assert_one_line(txn(fresh, "put", "", "value"), FAILED, "empty")
    assert_one_line(txn(fresh, "get", "k", "--at", "1", "--ago", "1"), 64, "exclude each other")
