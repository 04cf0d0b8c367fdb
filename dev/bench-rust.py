# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""The load of `tikv-cli bench raw` and `bench txn` by the Rust client, as it is published on PyPI with its Python binding.

    .venv-foreign/bin/python dev/bench-rust.py PD get|put|batch-get|batch-put|scan|txn-write|txn-get|txn-scan|txn-hot|txn-hot-pessimistic IN-FLIGHT SECONDS [BATCH-SIZE [KEYS]]

Prints a JSON object. The binding's share of the processor time is in it: there is no other build of that client to be had.
"""

import asyncio
import json
import random
import resource
import sys
import time

from tikv_client import asynchronous

KEYS = 10_000
VALUE = b"v" * 100


def key(index):
    return b"bench/%08d" % index


async def get(client, worker, batch, keys):
    await client.get(key(random.randrange(keys)))


async def put(client, worker, batch, keys):
    await client.put(key(random.randrange(keys)), VALUE)


def spread(batch, keys):
    """Distinct keys from all over, as `tikv-cli bench raw` has them."""
    start, step = random.randrange(keys), keys // batch
    return [key((start + place * step) % keys) for place in range(batch)]


async def batch_get(client, worker, batch, keys):
    assert len(await client.batch_get(spread(batch, keys))) == batch


async def batch_put(client, worker, batch, keys):
    await client.batch_put({key: VALUE for key in spread(batch, keys)})


async def scan(client, worker, batch, keys):
    assert len(await client.scan(key(random.randrange(keys - batch + 1)), end=None, limit=batch)) == batch


async def txn_write(client, worker, batch, keys):
    """Distinct keys from all over, as `bench txn --operation write` has them; run again after a conflict."""
    start, step = random.randrange(keys), keys // batch
    if batch > 1:
        start = start // step * step + worker % step
    while True:
        transaction = await client.begin(pessimistic=False)
        for place in range(batch):
            await transaction.put(key((start + place * step) % keys), VALUE)
        try:
            await transaction.commit()
            return
        except Exception as error:
            if "conflict" not in str(error).lower():
                raise


async def txn_get(client, worker, batch, keys):
    snapshot = client.snapshot(await client.current_timestamp(), pessimistic=False)
    await snapshot.get(key(random.randrange(keys)))


async def txn_hot(client, worker, batch, keys, pessimistic=False):
    """Reads and writes one key, the same for all; run again after a conflict."""
    while True:
        transaction = await client.begin(pessimistic=pessimistic)
        try:
            if pessimistic:
                await transaction.get_for_update(key(0))
            else:
                await transaction.get(key(0))
            await transaction.put(key(0), VALUE)
            await transaction.commit()
            return
        except Exception as error:
            if "conflict" not in str(error).lower():
                raise
            if pessimistic:
                await transaction.rollback()


async def txn_hot_pessimistic(client, worker, batch, keys):
    await txn_hot(client, worker, batch, keys, pessimistic=True)


async def txn_scan(client, worker, batch, keys):
    """Page by page, since the binding gives a scan as one list."""
    snapshot = client.snapshot(await client.current_timestamp(), pessimistic=False)
    start, left = key(random.randrange(keys - batch + 1)), batch
    while left > 0:
        page = list(await snapshot.scan(start, end=None, limit=min(left, 10_240)))
        if not page:
            break
        left -= len(page)
        start = bytes(page[-1][0]) + b"\0"


OPERATIONS = {"get": get, "put": put, "batch-get": batch_get, "batch-put": batch_put, "scan": scan, "txn-write": txn_write, "txn-get": txn_get, "txn-scan": txn_scan,
              "txn-hot": txn_hot, "txn-hot-pessimistic": txn_hot_pessimistic}


async def calls(client, worker, operation, seconds, batch, keys, latencies):
    now = time.perf_counter()
    end = now + seconds
    while now < end:
        await operation(client, worker, batch, keys)
        done = time.perf_counter()
        latencies.append(done - now)
        now = done


def processor_time():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def main(pd, name, in_flight, seconds, batch=1, keys=KEYS):
    kind = asynchronous.TransactionClient if name.startswith("txn") else asynchronous.RawClient
    client = await kind.connect([pd])
    operation = OPERATIONS[name]

    async def load(seconds):
        latencies = []
        await asyncio.gather(*(calls(client, worker, operation, seconds, batch, keys, latencies) for worker in range(in_flight)))
        return sorted(latencies)

    await load(0.3 if batch < 10_000 else 0)
    started, used = time.perf_counter(), processor_time()
    latencies = await load(seconds)
    used, elapsed = processor_time() - used, time.perf_counter() - started
    count = len(latencies)
    print(json.dumps({
        "count": count,
        "per_second": count / elapsed,
        "cpu_us": used / count * 1e6,
        "p50_us": latencies[count // 2] * 1e6,
        "p99_us": latencies[count * 99 // 100] * 1e6,
    }))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), *map(int, sys.argv[5:])))
