# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0
"""The load of `tikv-cli bench raw` by the Rust client, as it is published on PyPI with its Python binding.

    .venv-foreign/bin/python dev/bench-rust.py PD get|put|batch-get|batch-put|scan IN-FLIGHT SECONDS

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
# As `tikv-cli bench raw` has it: keys from all over.
BATCH = 100


def key(index):
    return b"bench/%08d" % (index % KEYS)


async def call(client, operation, index):
    batch = [key(index + number * (KEYS // BATCH)) for number in range(BATCH)]
    if operation == "get":
        assert await client.get(key(index)) is not None
    elif operation == "put":
        await client.put(key(index), VALUE)
    elif operation == "batch-get":
        assert len(await client.batch_get(batch)) == BATCH
    elif operation == "batch-put":
        await client.batch_put({key: VALUE for key in batch})
    else:
        start = index % (KEYS - BATCH + 1)
        assert len(await client.scan(key(start), end=None, limit=BATCH)) == BATCH


async def calls(client, operation, seconds, latencies):
    now = time.perf_counter()
    end = now + seconds
    while now < end:
        await call(client, operation, random.randrange(KEYS))
        done = time.perf_counter()
        latencies.append(done - now)
        now = done


def processor_time():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def main(pd, operation, in_flight, seconds):
    client = await asynchronous.RawClient.connect([pd])

    async def load(seconds):
        latencies = []
        await asyncio.gather(*(calls(client, operation, seconds, latencies) for _ in range(in_flight)))
        return sorted(latencies)

    await load(0.3)
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


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
