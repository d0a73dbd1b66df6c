"""Golden values for shared/transform and shared/learn.

    pip install numpy pandas scikit-learn xgboost-cpu lightgbm
    python infra/golden/learn.py data
    cargo run -p tidemill-learn --example export_trees -- \
        shared/learn/tests/golden/boosted_data.json shared/learn/tests/golden/exported_trees.xgboost.json
    python infra/golden/learn.py referee

`data` writes seeded data sets with what scikit-learn and LightGBM make of them; `referee` lets upstream XGBoost
read the trees that the Rust side exported, and writes its predictions.
"""

import json
import pathlib
import sys

import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRANSFORM = ROOT / "shared/transform/tests/golden"
LEARN = ROOT / "shared/learn/tests/golden"


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n")


def listed(values):
    return [None if pd.isna(v) else (v.item() if hasattr(v, "item") else v) for v in values]


def mixed_frame(rng, n):
    """Every kind of feature column, with nulls, a constant, rare categories and ones the training part lacks."""
    fare = np.round(rng.lognormal(3, 1, n), 3)
    fare[rng.random(n) < 0.15] = np.nan
    share = rng.dirichlet(np.ones(4))
    city = rng.choice(["bern", "oslo", "rome", "wien"], n, p=share).astype(object)
    city[rng.choice(n, 6, replace=False)] = ["x1", "x2", "x3", "x1", "x4", "x5"]
    city[-3:] = ["neverseen", "bern", "neverseen"]
    return pd.DataFrame(
        {
            "fare": fare,
            "constant": np.full(n, 0.1),
            "large": np.round(1e6 + rng.normal(0, 3, n), 4),
            "stops": rng.integers(0, 5, n),
            "direct": rng.random(n) < 0.4,
            "city": city,
        }
    )


def preprocessing(rare_share):
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    def number():
        return make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())

    numbers = ["fare", "constant", "large", "stops", "direct"]
    city = OneHotEncoder(min_frequency=rare_share, handle_unknown="ignore", sparse_output=False)
    steps = [(name, number(), [name]) for name in numbers] + [("city", city, ["city"])]
    return ColumnTransformer(steps)


def data():
    rng = np.random.default_rng(20130101)
    n, train, rare_share = 160, 120, 0.02
    frame = mixed_frame(rng, n)
    numeric = frame.assign(direct=frame["direct"].astype(float))
    fitted = preprocessing(rare_share).fit(numeric[:train])
    columns = {name: listed(frame[name]) for name in frame}
    write(
        TRANSFORM / "linear_matrix.json",
        {
            "train_rows": train,
            "rare_share": rare_share,
            "columns": columns,
            "expected": fitted.transform(numeric).tolist(),
        },
    )

    from sklearn.linear_model import LogisticRegression

    n, train = 400, 320
    frame = mixed_frame(rng, n)
    score = 0.8 * np.log1p(frame["fare"].fillna(20)) - 0.5 * frame["stops"] + (frame["city"] == "oslo") - 1.2
    labels = rng.random(n) < 1 / (1 + np.exp(-score))
    numeric = frame.assign(direct=frame["direct"].astype(float))
    fitted = preprocessing(rare_share).fit(numeric[:train])
    matrix = fitted.transform(numeric)
    cases = []
    for c in [0.01, 1.0, 100.0]:
        model = LogisticRegression(C=c, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
        model.fit(matrix[:train], labels[:train])
        cases.append(
            {
                "c": c,
                "intercept": model.intercept_[0],
                "coefficients": model.coef_[0].tolist(),
                "probabilities": model.predict_proba(matrix)[:, 1].tolist(),
            }
        )
    write(
        LEARN / "logistic.json",
        {
            "train_rows": train,
            "rare_share": rare_share,
            "columns": {name: listed(frame[name]) for name in frame},
            "labels": labels.tolist(),
            "cases": cases,
        },
    )

    boosted(rng)


def boosted(rng):
    import lightgbm
    import xgboost
    from sklearn.metrics import roc_auc_score

    n, train = 1500, 1000
    x = np.round(rng.normal(0, 1, (n, 5)), 3)
    x[rng.random((n, 5)) < 0.08] = np.nan
    filled = np.nan_to_num(x, nan=0.5)
    score = 1.5 * filled[:, 0] * (filled[:, 1] > 0) + np.sin(2 * filled[:, 2]) - 0.5 * np.isnan(x[:, 3])
    labels = rng.random(n) < 1 / (1 + np.exp(-score))
    params = {"objective": "binary", "num_leaves": 7, "learning_rate": 0.1, "verbose": -1, "deterministic": True}
    params |= {"min_sum_hessian_in_leaf": 5, "min_data_in_leaf": 1, "lambda_l2": 1, "seed": 1}
    model = lightgbm.train(params, lightgbm.Dataset(x[:train], labels[:train]), 40)
    names = [f"x{i}" for i in range(5)]
    write(
        LEARN / "boosted_data.json",
        {
            "train_rows": train,
            "columns": {name: listed(x[:, i]) for i, name in enumerate(names)},
            "labels": labels.tolist(),
            "lightgbm_auc": roc_auc_score(labels[train:], model.predict(x[train:])),
        },
    )
    params = {"objective": "binary:logistic", "max_depth": 3, "eta": 0.3, "tree_method": "hist", "seed": 1}
    upstream = xgboost.train(params, xgboost.DMatrix(x[:train], labels[:train]), 8)
    upstream.save_model(LEARN / "upstream_trees.xgboost.json")
    predictions = upstream.predict(xgboost.DMatrix(x))
    write(LEARN / "upstream_predictions.json", [float(p) for p in predictions])


def referee():
    import xgboost

    given = json.loads((LEARN / "boosted_data.json").read_text())
    x = np.array([[np.nan if v is None else v for v in column] for column in given["columns"].values()]).T
    booster = xgboost.Booster(model_file=LEARN / "exported_trees.xgboost.json")
    write(LEARN / "exported_predictions.json", [float(p) for p in booster.predict(xgboost.DMatrix(x))])


if __name__ == "__main__":
    {"data": data, "referee": referee}[sys.argv[1]]()
