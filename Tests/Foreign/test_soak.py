# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""Nothing leaks: after many connections and calls, our client and server hold what they held after few.

A small number here; `make soak` sets TIKV_SOAK for ten thousand connections and a million calls.
"""

import json
import os
import subprocess

import pytest
from peers import PEER

FULL = "TIKV_SOAK" in os.environ
CONNECTS = 10_000 if FULL else 600
CALLS = 1_000_000 if FULL else 30_000


def soak(what, count):
    process = subprocess.run([PEER, "soak", what, str(count)], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    if FULL:
        print(what, *lines, sep="\n")
    assert len(lines) == 10
    return lines


def assert_nothing_grew(lines, each):
    # What is made once (threads, caches, tables) is there after the first tenths.
    before, after = lines[2], lines[-1]
    assert after["descriptors"] <= before["descriptors"] + 2
    grown = after["memory"] - before["memory"]
    # Caches differ by some hundred kilobytes from one time to the next; a leak of `each` bytes a time would show.
    assert grown < (1 << 20) + each * (after["done"] - before["done"]), lines


@pytest.mark.timeout(3000 if FULL else 120)
def test_connections_leave_nothing_behind():
    lines = soak("connects", CONNECTS)
    assert [line["pools"] for line in lines] == [0] * 10
    assert sum(lines[-1]["codes"].values()) >= CONNECTS
    assert lines[-1]["codes"]["ok"] >= CONNECTS
    assert_nothing_grew(lines, each=50)


@pytest.mark.timeout(3000 if FULL else 120)
def test_calls_leave_nothing_behind():
    lines = soak("calls", CALLS)
    codes = lines[-1]["codes"]
    assert set(codes) == {"ok", "cancelled"}
    # Those that wait are all cancelled, and so are many of the others.
    assert codes["cancelled"] > CALLS / 7
    assert sum(codes.values()) >= CALLS * 0.9
    assert_nothing_grew(lines, each=1)
