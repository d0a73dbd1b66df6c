# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
# ---

# %% [markdown]
# # What happened in February
# Tidemill keeps everything in Delta tables. Any reader will do; here it is Polars. Start a demo first (`cargo demo
# --months 2` is enough) and, if it does not lie in `target/demo`, name its folder in `TIDEMILL_DATA_DIR`.

# %%
import json
import os
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import polars as pl

run = json.loads(Path(os.environ.get("TIDEMILL_DATA_DIR", "target/demo"), "run.json").read_text())
store = unquote(run["store_url"].removeprefix("file://")).rstrip("/")
day = pl.col("sched_dep_at").dt.convert_time_zone("America/New_York").dt.date()

# %% [markdown]
# ## Outcomes
# `clean/<project>/<source>` holds the rows that passed the rules. `raw/` has what arrived, `quarantine/` what a rule held
# back. Columns that begin with `tm_` are Tidemill's: `tm_known_at` says when a row became known.

# %%
outcomes = pl.read_delta(f"{store}/clean/flights/outcomes").filter(
    day.is_between(date(2013, 2, 1), date(2013, 2, 28))
)
print(outcomes.group_by("status").len().sort("len", descending=True))

# %% [markdown]
# A flight is *disrupted* when it was cancelled, diverted, or at least 15 minutes late. One day of February stands out.

# %%
disrupted = (pl.col("status") != "landed") | (pl.col("arr_delay_min") >= 15)
by_day = (
    outcomes.with_columns(disrupted.fill_null(False).alias("disrupted"))
    .group_by(day.alias("day"))
    .agg(pl.len().alias("flights"), pl.col("disrupted").mean(), (pl.col("status") == "cancelled").sum().alias("cancelled"))
    .sort("disrupted", descending=True)
)
print(by_day.head(5))

# %% [markdown]
# ## Predictions and their outcomes
# The prediction log has one row per prediction, with the features as the model read them. Its key joins it with the
# outcomes. This is what monitoring does too, so the figures must be those of `tidemill status` and the console.

# %%
predictions = pl.read_delta(f"{store}/predictions/flights/disruption").filter(pl.col("tm_score").is_not_null())
scored = predictions.select("tm_key", "tm_as_of", "tm_score", "tm_alerted", "tm_model", "origin")
known = outcomes.select(pl.col("flight_id").alias("tm_key"), disrupted.fill_null(False).alias("disrupted"))
joined = scored.join(known, on="tm_key")
print(f"{joined.height} predictions of February have an outcome")


# %%
def auc(score: pl.Expr, label: pl.Expr) -> pl.Expr:
    """Chance that a disrupted flight is scored above another one, ties counted half."""
    positives = label.sum().cast(pl.Float64)
    ranks = score.rank("average").filter(label).sum()
    return (ranks - positives * (positives + 1) / 2) / (positives * (label.len() - positives))


value = pl.when("tm_alerted").then(pl.when("disrupted").then(3).otherwise(-1)).otherwise(0)
by_week = (
    joined.sort("tm_as_of")
    .group_by_dynamic("tm_as_of", every="1w")
    .agg(
        pl.len().alias("flights"),
        auc(pl.col("tm_score"), pl.col("disrupted")).alias("auc"),
        pl.col("disrupted").filter(pl.col("tm_alerted")).mean().alias("precision"),
        value.sum().alias("net_value"),
    )
)
print(by_week)
whole = joined.select(auc(pl.col("tm_score"), pl.col("disrupted"))).item()
print(f"AUC of February: {whole:.3f}")

# %% [markdown]
# ## Are the probabilities right?
# In each tenth of the scores, the mean score should be near the share of disrupted flights.

# %%
calibration = (
    joined.with_columns(((pl.col("tm_score").rank("ordinal") - 1) * 10 // pl.len()).alias("tenth"))
    .group_by("tenth")
    .agg(pl.len().alias("flights"), pl.col("tm_score").mean(), pl.col("disrupted").mean())
    .sort("tenth")
)
print(calibration.select("tenth", "flights", pl.col("tm_score").round(3), pl.col("disrupted").round(3)))
