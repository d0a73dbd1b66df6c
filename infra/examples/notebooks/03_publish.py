# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
# ---

# %% [markdown]
# # Publish events
# A producer needs a NATS client and nothing else. Here: a weather station that publishes an observation, publishes it
# again because it is not sure, and then makes a mistake. Start a demo first (`cargo demo --months 2` is enough) and, if it
# does not lie in `target/demo`, name its folder in `TIDEMILL_DATA_DIR`.

# %%
import asyncio
import json
import os
import time
import uuid
from pathlib import Path
from urllib.parse import unquote

import nats
import polars as pl

run = json.loads(Path(os.environ.get("TIDEMILL_DATA_DIR", "target/demo"), "run.json").read_text())
store = unquote(run["store_url"].removeprefix("file://")).rstrip("/")
station = f"/station/notebook/{uuid.uuid4()}"
SUBJECT = "tm.events.flights.weather"


def headers(event_id):
    return {"ce-specversion": "1.0", "ce-id": event_id, "ce-source": station, "ce-type": "observed"}


def observation(hour, **values):
    row = {"origin": "JFK", "observed_at": f"2013-02-28T{hour:02}:30:00Z", "published_at": f"2013-02-28T{hour:02}:45:00Z"}
    return json.dumps(row | values).encode()


# %% [markdown]
# ## Once, and once more
# `publish` returns when the stream has the message on disk. The second time has the same `ce-source` and `ce-id`: the bus
# takes it, ingestion counts it as a duplicate, the table has one row.
#
# ## A mistake
# `tempp` is no column of the source. The event is not lost: it becomes a dead letter, which says why.


# %%
async def produce():
    connection = await nats.connect(run["bus_url"])
    stream = connection.jetstream()
    letters = await stream.subscribe("tm.dead.flights.weather", ordered_consumer=True)
    for event_id, body in [
        ("first", observation(6, temp=33.1, wind_speed=12.0)),
        ("first", observation(6, temp=33.1, wind_speed=12.0)),
        ("wrong", observation(7, tempp=33.1)),
        ("last", observation(8, temp=33.6)),
    ]:
        acknowledged = await stream.publish(SUBJECT, body, headers=headers(event_id))
        print(f"{event_id}: sequence {acknowledged.seq} of {acknowledged.stream}")
    letter = await letters.next_msg(timeout=60)
    while letter.headers.get("ce-source") != station:
        letter = await letters.next_msg(timeout=60)
    await connection.close()
    return letter


letter = asyncio.run(produce())
print(f"refused: {letter.headers['tm-dead-code']} {letter.headers['tm-dead-reason']}")

# %% [markdown]
# ## In the table
# Ingestion commits by size or age, so the rows are there within seconds. `tm_event_id` is source and id together.


# %%
def rows_of_station():
    raw = pl.scan_delta(f"{store}/raw/flights/weather")
    return raw.filter(pl.col("tm_event_id").str.contains(station, literal=True)).collect()


patience = time.monotonic() + 60
while (rows := rows_of_station()).height < 2 and time.monotonic() < patience:
    time.sleep(0.2)
print(rows.select("origin", "observed_at", "temp", "tm_event_id", "tm_known_at"))
print(f"{rows.height} rows of 4 messages: one was sent twice, one was refused")
