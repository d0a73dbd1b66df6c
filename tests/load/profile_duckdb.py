"""Reads and aggregates a Parquet file in DuckDB: what a profile holds, by DuckDB's own means.

Usage: profile_duckdb.py FILE THREADS; writes {"seconds": …, "peak_mb": …, "version": …, "row": […]}.
"""

import json
import resource
import sys
import time

import duckdb

path, threads = sys.argv[1], int(sys.argv[2])
connection = duckdb.connect(config={"threads": threads})
columns = connection.execute("describe select * from read_parquet(?)", [path]).fetchall()
parts = ["count(*)"]
for name, kind, *_ in columns:
    column = '"' + name.replace('"', '""') + '"'
    if kind.startswith("TIMESTAMP"):
        # Instants as numbers: their Python form needs more packages.
        column = f"epoch_ms({column})"
    parts += [f"count({column})", f"approx_count_distinct({column})", f"approx_top_k({column}, 10)"]
    if kind == "VARCHAR":
        parts += [f"min({column})", f"max({column})", f"avg(length({column}))"]
    elif kind == "BOOLEAN":
        parts += [f"sum({column}::int)"]
    else:
        parts += [f"min({column})", f"max({column})", f"avg({column})", f"stddev({column})"]
        parts += [f"approx_quantile({column}, [0.25, 0.5, 0.75])"]
begin = time.perf_counter()
row = connection.execute(f"select {', '.join(parts)} from read_parquet(?)", [path]).fetchone()
seconds = time.perf_counter() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak_mb": peak, "version": duckdb.__version__, "rows": row[0]}))
