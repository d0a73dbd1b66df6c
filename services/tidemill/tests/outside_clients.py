"""Clients that know nothing of Tidemill: tritonclient predicts; deltalake, Polars and DuckDB read the tables.

Usage: outside_clients.py RUN_JSON. Prints one JSON object with what each client saw; the test judges it.
"""

import json
import sys
import time
from datetime import datetime, timedelta, timezone
from urllib.parse import unquote, urlparse

import duckdb
import numpy as np
import polars as pl
import pyarrow.compute as pc
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from deltalake import DeltaTable

# Table, and the columns of which every reader gives the sum.
TABLES = {
    "raw/flights/schedules": ["flight_id", "distance"],
    "raw/flights/outcomes": ["flight_id", "arr_delay_min"],
    "clean/flights/schedules": ["flight_id", "distance"],
    "clean/flights/departures": ["flight_id", "dep_delay_min"],
    "predictions/flights/disruption": ["tm_key", "tail_due_n"],
}
PREDICTIONS = "predictions/flights/disruption"
MODEL = "disruption"
ROWS = 200
LOG_PATIENCE_S = 60
# What a column of NumPy is called in the protocol, and the other way round.
NUMPY = {"INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "FP32": np.float32, "FP64": np.float64,
         "BOOL": np.bool_, "BYTES": np.object_}


def with_deltalake(path, columns):
    table = DeltaTable(path).to_pyarrow_table(columns=columns)
    return [table.num_rows] + [pc.sum(table[c]).as_py() for c in columns]


def with_polars(path, columns):
    wide = [pl.col(c).cast(pl.Float64 if "tail" in c else pl.Int64).sum() for c in columns]
    lazy = pl.scan_delta(path).select(pl.len().alias("rows"), *wide).collect().row(0)
    eager = pl.read_delta(path).select(pl.len().alias("rows"), *wide).row(0)
    assert lazy == eager, (path, lazy, eager)
    return list(lazy)


def duckdb_source(connection, path):
    """The Delta extension when it can be had, else the Parquet files that the Delta log lists."""
    try:
        connection.execute("install delta; load delta")
        return "delta_scan", f"delta_scan('{path}')"
    except duckdb.Error:
        files = ", ".join(f"'{unquote(uri.removeprefix('file://'))}'" for uri in DeltaTable(path).file_uris())
        return "read_parquet", f"read_parquet([{files}])"


def with_duckdb(connection, path, columns):
    way, source = duckdb_source(connection, path)
    sums = ", ".join(f"sum({c})" for c in columns)
    return way, list(connection.execute(f"select count(*), {sums} from {source}").fetchone())


def read_tables(store):
    connection = duckdb.connect()
    seen = {}
    for name, columns in TABLES.items():
        path = f"{store}/{name}"
        way, by_duckdb = with_duckdb(connection, path, columns)
        readers = {"deltalake": with_deltalake(path, columns), "polars": with_polars(path, columns),
                   "duckdb": by_duckdb}
        seen[name] = {reader: [int(v) for v in values] for reader, values in readers.items()} | {"duckdb_by": way}
    return seen


class Client:
    """One protocol of tritonclient, spoken with binary tensors."""

    def __init__(self, module, url):
        self.module = module
        self.client = module.InferenceServerClient(url=url)

    def describe(self):
        http = self.module is triton_http
        options = {} if http else {"as_json": True}
        server = self.client.get_server_metadata(**options)
        model = self.client.get_model_metadata(MODEL, **options)
        self.types = {t["name"]: t["datatype"] for t in model["inputs"]}
        ready = [self.client.is_server_live(), self.client.is_server_ready(), self.client.is_model_ready(MODEL)]
        return {"server": server["name"], "extensions": server.get("extensions", []), "ready": ready,
                "model": model["name"], "inputs": len(model["inputs"]),
                "outputs": [t["name"] for t in model["outputs"]],
                "absent_model": self.absent()}

    def absent(self):
        """What a model that does not exist answers to the question whether it is ready."""
        try:
            return self.client.is_model_ready("no-such-model")
        except self.module.InferenceServerException as error:
            return error.status()

    def predict(self, columns, version):
        """Columns by name as NumPy arrays; gives scores, statuses, prediction ids."""
        http = self.module is triton_http
        inputs = []
        for name, values in columns.items():
            values = values.astype(NUMPY[self.types[name]])
            tensor = self.module.InferInput(name, list(values.shape), self.types[name])
            tensor.set_data_from_numpy(values, **({"binary_data": True} if http else {}))
            inputs.append(tensor)
        wanted = ["score", "status", "prediction_id", "alerted"]
        options = {"binary_data": True} if http else {}
        outputs = [self.module.InferRequestedOutput(name, **options) for name in wanted]
        answer = self.client.infer(MODEL, inputs, model_version=version, outputs=outputs)
        text = lambda name: [v.decode() for v in answer.as_numpy(name)]
        alerted = answer.as_numpy("alerted")
        assert alerted.dtype == np.bool_ and alerted.shape == answer.as_numpy("score").shape
        return answer.as_numpy("score"), text("status"), text("prediction_id")


def same_bits(a, b):
    return bool(np.array_equal(np.asarray(a, np.float64).view(np.int64), np.asarray(b, np.float64).view(np.int64)))


def feature_columns(table, names):
    """Features of logged rows as the protocol wants them: an empty text and NaN stand for null."""
    columns = {}
    for name in names:
        column = table[name].to_pylist()
        if any(isinstance(v, str) for v in column):
            columns[name] = np.array([(v or "").encode() for v in column], np.object_)
        else:
            columns[name] = np.array([np.nan if v is None else v for v in column], np.float64)
    return columns


def logged(path, ids):
    """Log rows of these predictions, in their order, once all of them are there."""
    deadline = time.monotonic() + LOG_PATIENCE_S
    while True:
        table = DeltaTable(path).to_pyarrow_table(filters=[("tm_prediction_id", "in", ids)])
        if table.num_rows >= len(ids) or time.monotonic() > deadline:
            break
        time.sleep(0.25)
    place = {id: row for row, id in enumerate(table["tm_prediction_id"].to_pylist())}
    assert table.num_rows == len(ids) and set(place) == set(ids), f"{table.num_rows} log rows of {len(ids)}"
    return table.take([place[id] for id in ids])


def of_last_day(path):
    """Predictions that were answered for instants on 28 February 2013."""
    first = datetime(2013, 2, 28, tzinfo=timezone.utc)
    wanted = [("tm_as_of", ">=", first), ("tm_as_of", "<", first + timedelta(days=1)), ("tm_status", "=", "present")]
    return DeltaTable(path).to_pyarrow_table(filters=wanted).slice(0, ROWS)


def departures_within_lookback(store):
    """Departures with their instant of prediction, of the newest hours that are known."""
    table = DeltaTable(f"{store}/clean/flights/departures").to_pyarrow_table(columns=["tm_known_at"])
    newest = pc.max(table["tm_known_at"]).as_py()
    columns = ["flight_id", "sched_dep_at"]
    wanted = [("sched_dep_at", ">", newest - timedelta(hours=20)), ("sched_dep_at", "<", newest - timedelta(hours=8))]
    table = DeltaTable(f"{store}/clean/flights/schedules").to_pyarrow_table(columns=columns, filters=wanted)
    table = table.sort_by("flight_id").slice(0, ROWS)
    as_of = [int(t.timestamp() * 1000) - 7_200_000 for t in table["sched_dep_at"].to_pylist()]
    return {"flight_id": table["flight_id"].to_numpy(), "as_of": np.array(as_of, np.int64)}


def predict(store, endpoints):
    path = f"{store}/{PREDICTIONS}"
    address = lambda url: urlparse(url).netloc
    clients = {"grpc": Client(triton_grpc, address(endpoints["serving_grpc"])),
               "http": Client(triton_http, address(endpoints["serving_http"]))}
    seen = {"about": {name: client.describe() for name, client in clients.items()}}
    types = clients["grpc"].types
    features = [name for name in types if name not in ("flight_id", "as_of")]

    past = of_last_day(path)
    # The version of that day: the loop goes on, and may put another champion into service at any moment.
    (version,) = {model[:12] for model in past["tm_model"].to_pylist()}
    rows = feature_columns(past, features)
    by_row = {name: client.predict(rows, version)[0] for name, client in clients.items()}
    seen["logged_rows"] = {
        "rows": past.num_rows,
        "same_as_logged": {name: same_bits(scores, past["tm_score"].to_numpy()) for name, scores in by_row.items()},
    }

    asked = departures_within_lookback(store)
    by_key = {name: client.predict(asked, version) for name, client in clients.items()}
    scores = by_key["grpc"][0]
    rows = feature_columns(logged(path, by_key["http"][2]), features)
    again = {name: client.predict(rows, version)[0] for name, client in clients.items()}
    seen["by_key"] = {
        "rows": len(scores),
        "finite": int(np.isfinite(scores).sum()),
        "distinct": len(set(scores.tolist())),
        "statuses": sorted(set(by_key["grpc"][1] + by_key["http"][1])),
        "same_over_http": same_bits(scores, by_key["http"][0]),
        "same_by_row": {name: same_bits(scores, values) for name, values in again.items()},
    }
    # The protocol counts milliseconds, the tables microseconds.
    gone = {"flight_id": past["tm_key"].to_numpy(), "as_of": pc.cast(past["tm_as_of"], "int64").to_numpy() // 1000}
    answers = {name: client.predict(gone, version) for name, client in clients.items()}
    seen["behind_lookback"] = {
        "statuses": sorted({s for a in answers.values() for s in a[1]}),
        "without_score": [int(np.isnan(a[0]).sum()) for a in answers.values()],
    }
    return seen


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        run = json.load(file)
    store = unquote(run["store_url"].removeprefix("file://")).rstrip("/")
    # Tables first: predicting adds rows to one of them.
    print(json.dumps({"tables": read_tables(store), "predictions": predict(store, run["endpoints"])}))


main()
