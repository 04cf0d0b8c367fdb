# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""The Rust client as published on PyPI (tikv-client 0.0.4) against the playground, and against what our client wrote."""

import asyncio

import pytest
from tikv_client import asynchronous

# A key in each of the five regions, and two in the first.
KEYS = [b"a", b"b", b"e", b"k", b"q", b"z"]
PAIRS = {key: b"value of " + key for key in KEYS}


@pytest.fixture
def filled(rust):
    rust.batch_put(PAIRS)
    return rust


# --- The Rust client alone --------------------------------------------------------------------------------------------


def test_put_and_get(rust):
    for key, value in PAIRS.items():
        rust.put(key, value)
    assert [rust.get(key) for key in KEYS] == list(PAIRS.values())


def test_get_of_an_absent_key(rust):
    assert rust.get(b"a") is None


def test_put_replaces(rust):
    rust.put(b"a", b"1")
    rust.put(b"a", b"2")
    assert rust.get(b"a") == b"2"


def test_keys_and_values_of_any_bytes(rust):
    key, value = bytes(range(256)), bytes(reversed(range(256)))
    rust.put(key, value)
    assert rust.get(key) == value


def test_large_value(rust):
    value = b"x" * (1 << 20)
    rust.put(b"large", value)
    assert rust.get(b"large") == value


def test_batch_put_and_batch_get_over_regions(filled):
    assert dict(filled.batch_get(KEYS)) == PAIRS


def test_batch_get_leaves_absent_keys_out(filled):
    assert dict(filled.batch_get([b"a", b"nothing", b"z"])) == {b"a": PAIRS[b"a"], b"z": PAIRS[b"z"]}


def test_scan_over_regions(filled):
    assert list(filled.scan(b"a", b"zz", 100)) == list(PAIRS.items())


def test_scan_bounds(filled):
    assert [key for key, _ in filled.scan(b"b", b"q", 100)] == [b"b", b"e", b"k"]
    found = filled.scan(b"b", b"q", 100, include_start=False, include_end=True)
    assert [key for key, _ in found] == [b"e", b"k", b"q"]


def test_scan_limit_over_regions(filled):
    assert [key for key, _ in filled.scan(b"a", b"zz", 4)] == [b"a", b"b", b"e", b"k"]


def test_scan_keys(filled):
    assert list(filled.scan_keys(b"a", b"zz", 100)) == KEYS
    assert list(filled.scan_keys(b"c", b"zz", 2)) == [b"e", b"k"]


def test_delete(filled):
    filled.delete(b"e")
    filled.delete(b"never there")
    assert filled.get(b"e") is None
    assert list(filled.scan_keys(b"a", b"zz", 100)) == [b"a", b"b", b"k", b"q", b"z"]


def test_batch_delete_over_regions(filled):
    filled.batch_delete([b"a", b"e", b"z", b"never there"])
    assert list(filled.scan_keys(b"a", b"zz", 100)) == [b"b", b"k", b"q"]


def test_delete_range_over_regions(filled):
    filled.delete_range(b"b", b"q")
    assert list(filled.scan_keys(b"a", b"zz", 100)) == [b"a", b"q", b"z"]


def test_delete_range_bounds(filled):
    filled.delete_range(b"b", b"q", include_start=False, include_end=True)
    assert list(filled.scan_keys(b"a", b"zz", 100)) == [b"a", b"b", b"z"]


def test_delete_range_without_end(filled):
    filled.delete_range(b"k")
    assert list(filled.scan_keys(b"a", b"zz", 100)) == [b"a", b"b", b"e"]


def test_more_keys_than_a_batch(rust):
    pairs = {b"%c/%04d" % (b"adhptz"[index % 6], index): b"%d" % index for index in range(3000)}
    rust.batch_put(pairs)
    assert dict(rust.batch_get(list(pairs))) == pairs
    assert list(rust.scan_keys(b"a", b"zz", 5000)) == sorted(pairs)


def test_many_calls_at_once(playground, ours, loop):
    keys = [b"%c/%03d" % (b"adhptz"[index % 6], index) for index in range(600)]

    async def write_and_read():
        client = await asynchronous.RawClient.connect([playground.pd])
        await asyncio.gather(*(client.put(key, b"v" + key) for key in keys))
        return await asyncio.gather(*(client.get(key) for key in keys))

    assert loop.run_until_complete(write_and_read()) == [b"v" + key for key in keys]


# --- Both clients -----------------------------------------------------------------------------------------------------


def test_rust_reads_what_ours_put(rust, ours):
    for key, value in PAIRS.items():
        ours.raw_done("put", key.decode(), value.decode())
    assert [rust.get(key) for key in KEYS] == list(PAIRS.values())
    assert dict(rust.batch_get(KEYS)) == PAIRS


def test_rust_scans_what_ours_imported(rust, ours, tmp_path):
    pairs = {b"%c/%05d" % (b"adhptz"[index % 6], index): b"value %d" % index for index in range(2000)}
    file = tmp_path / "records"
    file.write_bytes(b"".join(key + b"\t" + value + b"\n" for key, value in pairs.items()))
    ours.raw_done("import", str(file))
    assert list(rust.scan(b"a", b"zz", 5000)) == sorted(pairs.items())


def test_ours_reads_what_rust_put(filled, ours):
    for key, value in PAIRS.items():
        assert ours.raw_done("get", key.decode()) == value.decode() + "\n"
    lines = "".join(f"{key.decode()}\t{value.decode()}\n" for key, value in PAIRS.items())
    assert ours.raw_done("get", *(key.decode() for key in KEYS)) == lines
    assert ours.raw_done("scan") == lines


def test_bytes_that_are_no_text_go_both_ways(rust, ours):
    rust.put(b"a\x00\xff", b"\x00\x01\xfe")
    assert ours.raw_done("get", "--hex", "6100ff") == "0001fe\n"
    ours.raw_done("put", "--hex", "7a00ff", "ff00")
    assert rust.get(b"z\x00\xff") == b"\xff\x00"


def test_rust_sees_what_ours_removed(filled, ours):
    ours.raw_done("delete", "a", "e")
    assert list(filled.scan_keys(b"a", b"zz", 100)) == [b"b", b"k", b"q", b"z"]
    ours.raw_done("delete-range", "--from", "b", "--to", "z")
    assert list(filled.scan_keys(b"a", b"zz", 100)) == [b"z"]


def test_ours_sees_what_rust_removed(filled, ours):
    filled.batch_delete([b"b", b"q"])
    filled.delete_range(b"k", b"zz")
    assert ours.raw_done("scan", "--keys-only") == "a\ne\n"
