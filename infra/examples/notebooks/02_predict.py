# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
# ---

# %% [markdown]
# # Ask for predictions
# Tidemill answers by the Open Inference Protocol v2, so `tritonclient` works unmodified. Start a demo first (`cargo demo
# --months 2` is enough) and, if it does not lie in `target/demo`, name its folder in `TIDEMILL_DATA_DIR`.

# %%
import json
import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import polars as pl
import tritonclient.grpc as triton

run = json.loads(Path(os.environ.get("TIDEMILL_DATA_DIR", "target/demo"), "run.json").read_text())
store = unquote(run["store_url"].removeprefix("file://")).rstrip("/")
client = triton.InferenceServerClient(urlparse(run["endpoints"]["serving_grpc"]).netloc)
MODEL = "disruption"  # serve.deployment of the project file

# %% [markdown]
# ## What does the model read?
# Its metadata say so: the key of a flight, the instant, and every feature.

# %%
model = client.get_model_metadata(MODEL, as_json=True)
print(f"version {model['versions'][0]}, {len(model['inputs'])} inputs")
print([tensor["name"] for tensor in model["outputs"]])


def tensor(name, values, datatype):
    made = triton.InferInput(name, [len(values)], datatype)
    made.set_data_from_numpy(np.asarray(values))
    return made


# %% [markdown]
# ## By key
# The desk wants the list for the next hours. Features are looked up as they were known two hours before each departure.
# The demo's clock stands where its replay ended, so "now" is the newest departure that is known.

# %%
now = pl.scan_delta(f"{store}/clean/flights/departures").select(pl.col("tm_known_at").max()).collect().item()
due = (
    pl.scan_delta(f"{store}/clean/flights/schedules")
    .filter(pl.col("sched_dep_at").is_between(now - timedelta(hours=20), now - timedelta(hours=8)))
    .select("flight_id", "carrier", "origin", "dest", "sched_dep_at")
    .sort("flight_id")
    .collect()
)
instants = (due["sched_dep_at"] - timedelta(hours=2)).dt.epoch("ms").to_numpy().astype(np.int64)
answer = client.infer(
    MODEL,
    [tensor("flight_id", due["flight_id"].to_numpy().astype(np.int64), "INT64"), tensor("as_of", instants, "INT64")],
)
listed = due.with_columns(
    score=answer.as_numpy("score"),
    alerted=answer.as_numpy("alerted"),
    status=pl.Series([status.decode() for status in answer.as_numpy("status")]),
)
print(f"{listed.height} flights, {listed['alerted'].sum()} on the list")
print(listed.sort("score", descending=True).head(10))
assert listed["status"].unique().to_list() == ["present"]

# %% [markdown]
# What an answer was made from stands in its parameters: the model, the plan of the features, and how old the newest row
# of each source was.

# %%
for name, parameter in sorted(answer.get_response().parameters.items()):
    print(name, getattr(parameter, parameter.WhichOneof("parameter_choice")))

# %% [markdown]
# ## By row: what if?
# Features can be sent instead of looked up; those left out count as missing. The prediction log has the features of every
# answer, so take the last flight that was predicted and ask: what if more of the departures of the last three hours had
# been late?

# %%
log = pl.scan_delta(f"{store}/predictions/flights/disruption")
looked_up = log.filter(pl.col("tm_key").is_not_null(), pl.col("tm_score").is_not_null())
flight = looked_up.sort("tm_as_of", "tm_key").last().collect().row(0, named=True)
late = np.linspace(0.0, 0.9, 10)
row = []
for described in model["inputs"][2:]:  # behind the key and the instant
    name, value = described["name"], flight[described["name"]]
    if described["datatype"] == "BYTES":
        row.append(tensor(name, np.array([(value or "").encode()] * len(late), dtype=np.object_), "BYTES"))
    else:
        row.append(tensor(name, np.full(len(late), np.nan if value is None else value, dtype=np.float64), "FP64"))
row = [given for given in row if given.name() != "dep_o3_late"] + [tensor("dep_o3_late", late, "FP64")]
print(f"flight {flight['tm_key']} from {flight['origin']} to {flight['dest']}, scored {flight['tm_score']:.3f}")
for share, score in zip(late, client.infer(MODEL, row).as_numpy("score")):
    print(f"{share:4.0%} late  {score:.3f}  {'#' * int(60 * score)}")
