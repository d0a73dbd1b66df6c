"""Takes every event of a stream into files with somebody else's means, and says what that cost.

    python consume.py nats-py|mq-bridge URL STREAM SUBJECT ROWS FOLDER

nats-py:   a pull consumer, json.loads, pyarrow, one Delta commit for 100,000 rows, acknowledged after the commit;
           what most teams write first.
mq-bridge: a route of the library from JetStream to Parquet objects, all of it in its Rust core.

One line of JSON on standard output: rows, wall-clock seconds, seconds of the processor.
"""

import asyncio
import json
import pathlib
import sys
import threading
import time


async def with_nats_py(url, stream, subject, rows, folder):
    import nats
    import pyarrow as pa
    from deltalake import write_deltalake
    from nats.js.api import AckPolicy, ConsumerConfig

    connection = await nats.connect(url)
    context = connection.jetstream()
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_ack_pending=200_000)
    consumer = await context.pull_subscribe(subject, durable="peer", stream=stream, config=config)
    seen, held = 0, []
    while seen < rows:
        held += await consumer.fetch(5_000, timeout=10)
        if len(held) >= 100_000 or seen + len(held) >= rows:
            table = pa.Table.from_pylist([json.loads(message.data) for message in held])
            write_deltalake(folder, table, mode="append")
            for message in held:
                await message.ack()
            seen += len(held)
            held = []
    await connection.close()
    return seen


def with_mq_bridge(url, stream, subject, rows, folder):
    import pyarrow.parquet as pq
    from mq_bridge import Route

    route = Route.from_config(
        {
            "input": {"nats": {"url": url, "stream": stream, "subject": subject, "deliver_policy": "all"}},
            "output": {"object_store": {"url": f"file://{folder}", "format": "parquet"}},
            "batch_size": 5_000,
        }
    )
    thread = threading.Thread(target=route.run, daemon=True)
    thread.start()
    counted = {}
    while sum(counted.values()) < rows and thread.is_alive():
        time.sleep(0.25)
        for file in pathlib.Path(folder).rglob("*.parquet"):
            if file not in counted:
                try:
                    counted[file] = pq.read_metadata(file).num_rows
                except Exception:
                    continue  # being written
    route.stop()
    return sum(counted.values())


def main():
    means, url, stream, subject, rows, folder = sys.argv[1:]
    rows = int(rows)
    began, burnt = time.monotonic(), time.process_time()
    if means == "nats-py":
        seen = asyncio.run(with_nats_py(url, stream, subject, rows, folder))
    else:
        seen = with_mq_bridge(url, stream, subject, rows, folder)
    seconds, cpu = time.monotonic() - began, time.process_time() - burnt
    print(json.dumps({"rows": seen, "seconds": seconds, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
