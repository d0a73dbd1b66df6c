"""The same rules by Great Expectations and pandera, and data contracts against the standard's JSON schema.

quality_peers.py gx|pandera FILE RULES   counts of failing rows, seconds and peak memory, as JSON
quality_peers.py run COMMAND…            runs a program: its output, seconds and peak memory, as JSON
quality_peers.py contract FILE           validates a contract against the official schema of ODCS

RULES is a JSON list of Tidemill rules; each is translated into the peer's own expectation.
"""

import json
import os
import resource
import subprocess
import sys
import time

os.environ["GX_ANALYTICS_ENABLED"] = "False"
os.environ["DISABLE_PANDERA_IMPORT_WARNING"] = "True"


def kind_of(rule):
    (kind,) = [key for key in rule if key not in ("id", "on_fail", "when", "mostly")]
    return kind, rule[kind]


def by_gx(frame, rules):
    import great_expectations as gx

    e = gx.expectations
    make = {
        "not_null": lambda p: e.ExpectColumnValuesToNotBeNull(column=p),
        "range": lambda p: e.ExpectColumnValuesToBeBetween(column=p["column"], min_value=p.get("min"), max_value=p.get("max")),
        "in_set": lambda p: e.ExpectColumnValuesToBeInSet(column=p["column"], value_set=p["values"]),
        "not_in_set": lambda p: e.ExpectColumnValuesToNotBeInSet(column=p["column"], value_set=p["values"]),
        "regex": lambda p: e.ExpectColumnValuesToMatchRegex(column=p["column"], regex=p["pattern"]),
        "length": lambda p: e.ExpectColumnValueLengthsToBeBetween(column=p["column"], min_value=p.get("min"), max_value=p.get("max")),
        "compare": lambda p: e.ExpectColumnPairValuesAToBeGreaterThanB(column_A=p["right"], column_B=p["left"], or_equal=True),
    }
    # For Great Expectations all rows of a repeated value fail, here all but the first: those two are not compared.
    known = [rule for rule in rules if kind_of(rule)[0] in make]
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("frame")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="rules")
    for rule in known:
        kind, params = kind_of(rule)
        expectation = make[kind](params)
        expectation.meta = {"id": rule["id"]}
        suite.add_expectation(expectation)
    begin = time.perf_counter()
    result = batch.validate(suite)
    seconds = time.perf_counter() - begin
    counts = {r.expectation_config.meta["id"]: r.result["unexpected_count"] for r in result.results}
    return counts, seconds


def by_pandera(frame, rules):
    import pandera.pandas as pa

    columns = {name: {"checks": [], "nullable": True, "unique": False} for name in frame.columns}
    wide, places = [], {}
    for rule in rules:
        kind, p = kind_of(rule)
        name = rule["id"]
        if kind == "not_null":
            columns[p]["nullable"] = False
            places[(p, "not_nullable")] = name
            continue
        if kind == "unique":
            (column,) = p
            columns[column]["unique"] = True
            places[(column, "field_uniqueness")] = name
            continue
        if kind == "compare":
            left, right = p["left"], p["right"]
            wide.append(pa.Check(lambda df, left=left, right=right: df[left] <= df[right], error=name))
            continue
        low = float("-inf") if p.get("min") is None else p["min"]
        high = float("inf") if p.get("max") is None else p["max"]
        check = {
            "range": lambda: pa.Check.in_range(low, high, error=name),
            "in_set": lambda: pa.Check.isin(p["values"], error=name),
            "not_in_set": lambda: pa.Check.notin(p["values"], error=name),
            "regex": lambda: pa.Check.str_contains(p["pattern"], error=name),
            "length": lambda: pa.Check.str_length(p.get("min"), p.get("max"), error=name),
        }[kind]()
        columns[p["column"]]["checks"].append(check)
    made = {name: pa.Column(checks=c["checks"], nullable=c["nullable"], unique=c["unique"], report_duplicates="exclude_first") for name, c in columns.items()}
    schema = pa.DataFrameSchema(made, checks=wide)
    counts = {rule["id"]: 0 for rule in rules}
    begin = time.perf_counter()
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        # A check of whole rows is told once for each column.
        cases["column"] = cases["column"].where(cases["schema_context"] == "Column", "")
        for (column, check), rows in cases.groupby(["column", "check"], dropna=False)["index"]:
            counts[places.get((column, check), check)] = int(rows.nunique())
    return counts, time.perf_counter() - begin


def judge(peer, file, rules):
    import pandas as pd

    begin = time.perf_counter()
    frame = pd.read_parquet(file)
    load = time.perf_counter() - begin
    counts, seconds = {"gx": by_gx, "pandera": by_pandera}[peer](frame, json.load(open(rules)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"failed": counts, "load_seconds": load, "seconds": seconds, "peak_mb": peak}


def run(command):
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"code": done.returncode, "stdout": done.stdout, "stderr": done.stderr, "seconds": seconds, "peak_mb": peak}


def contract(file):
    import jsonschema
    import open_data_contract_standard as odcs
    from open_data_contract_standard.model import OpenDataContractStandard
    import yaml

    schema = json.load(open(os.path.join(os.path.dirname(odcs.__file__), "schema.json")))
    document = yaml.safe_load(open(file))
    validator = jsonschema.validators.validator_for(schema)(schema)
    errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(document)]
    # The standard's own reader must take it too.
    read = OpenDataContractStandard.from_string(open(file).read())
    return {"title": schema["title"], "errors": errors, "objects": [o.name for o in read.schema_]}


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    answer = {"run": lambda: run(rest), "contract": lambda: contract(*rest)}.get(verb, lambda: judge(verb, *rest))()
    print(json.dumps(answer))
