"""Fits LightGBM on a matrix stored as Parquet and prints how long it took, reading not included.

Usage: lightgbm_fit.py MATRIX.parquet PARAMETERS_AS_JSON ROUNDS. The column `label` is the target.
"""

import json
import sys
import time

import lightgbm
import numpy as np
import pyarrow.parquet as pq

table = pq.read_table(sys.argv[1])
label = table["label"].to_numpy().astype(np.float32)
names = [name for name in table.column_names if name != "label"]
matrix = np.column_stack([table[name].to_numpy() for name in names])
parameters = json.loads(sys.argv[2])

began = time.perf_counter()
booster = lightgbm.train(parameters, lightgbm.Dataset(matrix, label), num_boost_round=int(sys.argv[3]))
seconds = time.perf_counter() - began

p = np.clip(booster.predict(matrix), 1e-15, 1 - 1e-15)
log_loss = float(-np.mean(label * np.log(p) + (1 - label) * np.log(1 - p)))
print(json.dumps({"seconds": seconds, "log_loss": log_loss}))
