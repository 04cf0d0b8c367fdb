# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""The Rust client's transactions against the playground: a client that we did not write, with its own two-phase commit."""

import asyncio

import pytest
import tikv_client
from tikv_client import asynchronous

KEYS = [b"a", b"e", b"k", b"q", b"z"]


@pytest.fixture
def txns(txn_playground, loop):
    """The client, and a cluster without keys."""
    client = tikv_client.TransactionClient.connect([txn_playground.pd])
    transaction = client.begin(pessimistic=False)
    for key in list(transaction.scan_keys(b"\x00", b"\xff", 10000)):
        transaction.delete(key)
    transaction.commit()
    return client


def write(client, pairs, pessimistic=False):
    transaction = client.begin(pessimistic=pessimistic)
    for key, value in pairs.items():
        transaction.put(key, value)
    transaction.commit()


def read(client, keys=KEYS):
    snapshot = client.snapshot(client.current_timestamp(), pessimistic=False)
    return dict(snapshot.batch_get(keys))


PAIRS = {key: b"value of " + key for key in KEYS}


@pytest.mark.parametrize("pessimistic", [False, True], ids=["optimistic", "pessimistic"])
def test_commit_over_regions(txns, pessimistic):
    write(txns, PAIRS, pessimistic)
    assert read(txns) == PAIRS


@pytest.mark.parametrize("pessimistic", [False, True], ids=["optimistic", "pessimistic"])
def test_rollback_leaves_nothing(txns, pessimistic):
    transaction = txns.begin(pessimistic=pessimistic)
    for key, value in PAIRS.items():
        transaction.put(key, value)
    transaction.rollback()
    assert read(txns) == {}
    # Nor are there locks that anyone would have to wait for.
    write(txns, PAIRS, pessimistic)
    assert read(txns) == PAIRS


def test_reads_see_own_writes_and_the_snapshot(txns):
    write(txns, PAIRS)
    transaction = txns.begin(pessimistic=False)
    write(txns, {b"e": b"later"})
    assert transaction.get(b"e") == PAIRS[b"e"]
    assert transaction.get(b"nothing") is None
    transaction.put(b"a", b"own")
    transaction.delete(b"z")
    assert transaction.get(b"a") == b"own"
    assert transaction.get(b"z") is None
    assert transaction.key_exists(b"k") and not transaction.key_exists(b"z")
    assert dict(transaction.batch_get(KEYS)) == {
        b"a": b"own", b"e": PAIRS[b"e"], b"k": PAIRS[b"k"], b"q": PAIRS[b"q"]
    }
    transaction.rollback()
    assert read(txns)[b"e"] == b"later"


def test_scan_over_regions(txns):
    write(txns, PAIRS)
    transaction = txns.begin(pessimistic=False)
    assert list(transaction.scan(b"a", b"zz", 100)) == list(PAIRS.items())
    assert list(transaction.scan_keys(b"b", b"q", 100, include_end=True)) == [b"e", b"k", b"q"]
    assert list(transaction.scan_keys(b"a", b"zz", 2)) == [b"a", b"e"]
    transaction.put(b"f", b"own")
    transaction.delete(b"k")
    assert list(transaction.scan_keys(b"a", b"zz", 100)) == [b"a", b"e", b"f", b"q", b"z"]
    transaction.rollback()


def test_snapshots_stay_as_they_were(txns):
    write(txns, PAIRS)
    timestamp = txns.current_timestamp()
    write(txns, {b"a": b"later", b"n": b"new"})
    snapshot = txns.snapshot(timestamp, pessimistic=False)
    assert snapshot.get(b"a") == PAIRS[b"a"]
    assert snapshot.get(b"n") is None
    assert list(snapshot.scan(b"a", b"zz", 100)) == list(PAIRS.items())
    assert list(snapshot.scan_keys(b"a", b"zz", 100)) == KEYS


def test_values_that_are_long_or_empty_or_no_text(txns):
    pairs = {b"a": b"x" * 70_000, b"e": bytes(range(256)), b"k\x00\xff": b"y"}
    write(txns, pairs)
    assert read(txns, list(pairs)) == pairs


def test_deleted_keys_are_gone(txns):
    write(txns, PAIRS)
    transaction = txns.begin(pessimistic=False)
    transaction.delete(b"e")
    transaction.commit()
    assert sorted(read(txns)) == [b"a", b"k", b"q", b"z"]


def test_a_conflict_fails_the_later_commit(txns):
    write(txns, PAIRS)
    first = txns.begin(pessimistic=False)
    second = txns.begin(pessimistic=False)
    first.put(b"a", b"first")
    second.put(b"a", b"second")
    first.commit()
    with pytest.raises(Exception):
        second.commit()
    assert read(txns)[b"a"] == b"first"


def test_insert_wants_a_new_key(txns):
    write(txns, {b"a": b"there"})
    for pessimistic in [False, True]:
        transaction = txns.begin(pessimistic=pessimistic)
        with pytest.raises(Exception):
            transaction.insert(b"a", b"again")
            transaction.commit()
        try:
            transaction.rollback()
        except Exception:
            # The failed commit has finished it.
            pass
    transaction = txns.begin(pessimistic=False)
    transaction.insert(b"n", b"new")
    transaction.commit()
    assert read(txns, [b"a", b"n"]) == {b"a": b"there", b"n": b"new"}


def test_get_for_update_locks_and_reads_the_newest(txns):
    write(txns, PAIRS)
    transaction = txns.begin(pessimistic=True)
    write(txns, {b"a": b"later"})
    assert transaction.get_for_update(b"a") == b"later"
    assert transaction.get_for_update(b"nothing") is None
    assert dict(transaction.batch_get_for_update([b"e", b"z"])) == {b"e": PAIRS[b"e"], b"z": PAIRS[b"z"]}
    transaction.put(b"a", b"mine")
    transaction.commit()
    assert read(txns)[b"a"] == b"mine"


@pytest.mark.parametrize("pessimistic", [False, True], ids=["optimistic", "pessimistic"])
def test_locked_keys_cannot_be_written_meanwhile(txns, pessimistic):
    write(txns, PAIRS)
    transaction = txns.begin(pessimistic=pessimistic)
    transaction.lock_keys([b"a", b"z"])
    if pessimistic:
        other = txns.begin(pessimistic=False)
        other.put(b"a", b"other")
        with pytest.raises(Exception):
            other.commit()
        transaction.commit()
        assert read(txns) == PAIRS
    else:
        write(txns, {b"a": b"other"})
        transaction.put(b"k", b"mine")
        with pytest.raises(Exception):
            transaction.commit()
        # It takes its locks back when it is told to.
        transaction.rollback()
        assert read(txns)[b"k"] == PAIRS[b"k"]


def test_counters_lose_nothing(txn_playground, txns, loop):
    """Read, add and write back, by several at once: pessimistic transactions wait for each other."""
    keys = [b"a", b"q"]
    write(txns, {key: b"0" for key in keys})

    async def add(client, times):
        done = 0
        while done < times:
            transaction = await client.begin(pessimistic=True)
            try:
                for key in keys:
                    value = int(await transaction.get_for_update(key))
                    await transaction.put(key, b"%d" % (value + 1))
                await transaction.commit()
                done += 1
            except Exception:
                await transaction.rollback()

    async def run():
        client = await asynchronous.TransactionClient.connect([txn_playground.pd])
        await asyncio.gather(*(add(client, 10) for _ in range(4)))

    loop.run_until_complete(asyncio.wait_for(run(), 90))
    assert read(txns, keys) == {key: b"40" for key in keys}


def test_more_keys_than_a_batch(txns):
    pairs = {b"%c/%04d" % (b"adhptz"[index % 6], index): b"%d" % index for index in range(2000)}
    write(txns, pairs)
    assert read(txns, list(pairs)) == pairs
    snapshot = txns.snapshot(txns.current_timestamp(), pessimistic=False)
    assert list(snapshot.scan_keys(b"a", b"zz", 5000)) == sorted(pairs)
