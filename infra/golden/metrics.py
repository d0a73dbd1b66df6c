"""Reference values for tidemill-metrics, from scikit-learn, scipy and numpy.

Run: python infra/golden/metrics.py   (needs numpy, scipy, scikit-learn; writes shared/metrics/tests/golden/)
"""

import json
import pathlib

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn import metrics as skm
from sklearn.calibration import calibration_curve

OUT = pathlib.Path(__file__).parents[2] / "shared/metrics/tests/golden/metrics.json"


def delong(scores, labels):
    """Covariance matrix of AUCs straight from the 1988 definition: an O(mn) kernel, no ranks."""
    labels = np.asarray(labels, bool)
    v10, v01, aucs = [], [], []
    for s in scores:
        pos, neg = s[labels], s[~labels]
        psi = (pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :])
        v10.append(psi.mean(axis=1))
        v01.append(psi.mean(axis=0))
        aucs.append(psi.mean())
    m, n = labels.sum(), (~labels).sum()
    cov = np.atleast_2d(np.cov(v10)) / m + np.atleast_2d(np.cov(v01)) / n
    return np.array(aucs), cov


def ece(scores, labels, bins=10):
    edges = np.linspace(0, 1, bins + 1)
    ids = np.searchsorted(edges[1:-1], scores)
    return sum(abs(scores[ids == b].sum() - labels[ids == b].sum()) for b in range(bins)) / len(scores)


def binary(name, scores, second, labels, threshold, budget):
    labels = labels.astype(int)
    called = (scores >= threshold).astype(int)
    aucs, cov = delong([scores, second], labels)
    se = np.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    k = max(1, int(np.floor(len(scores) * budget + 1e-9)))
    flagged = np.argsort(-scores, kind="stable")[:k]
    truth, mean_score = calibration_curve(labels, scores, n_bins=10)
    gap = (second - labels) ** 2 - (scores - labels) ** 2
    return {
        "name": name,
        "scores": scores.tolist(),
        "second": second.tolist(),
        "labels": labels.astype(bool).tolist(),
        "threshold": threshold,
        "budget": budget,
        "roc_auc": skm.roc_auc_score(labels, scores),
        "pr_auc": skm.average_precision_score(labels, scores),
        "log_loss": skm.log_loss(labels, scores),
        "brier": skm.brier_score_loss(labels, scores),
        "ece": ece(scores, labels),
        "curve_truth": truth.tolist(),
        "curve_score": mean_score.tolist(),
        "precision": skm.precision_score(labels, called, zero_division=0),
        "recall": skm.recall_score(labels, called, zero_division=0),
        "f1": skm.f1_score(labels, called, zero_division=0),
        "mcc": skm.matthews_corrcoef(labels, called),
        "accuracy": skm.accuracy_score(labels, called),
        "caught": int(labels[flagged].sum()),
        "alerts": k,
        "auc_variance": cov[0, 0],
        "auc_difference": aucs[1] - aucs[0],
        "auc_difference_se": se,
        "auc_difference_p": 2 * stats.norm.sf(abs((aucs[1] - aucs[0]) / se)),
        "brier_low": stats.t.interval(0.95, len(scores) - 1, *mean_se((scores - labels) ** 2))[0],
        "brier_gap_p": stats.ttest_1samp(gap, 0).pvalue,
    }


def mean_se(x):
    return x.mean(), stats.sem(x)


def case(name, n, rate, seed, digits):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < rate
    latent = rng.normal(size=n) + 1.2 * labels
    scores = np.round(1 / (1 + np.exp(-(latent - 1.0))), digits)
    second = np.round(1 / (1 + np.exp(-(latent + 0.8 * rng.normal(size=n) - 0.7))), digits)
    return binary(name, scores, second, labels, 0.4, 0.1)


def main():
    rng = np.random.default_rng(5)
    edges = binary("edges", np.array([0.0, 0.1, 0.2, 0.3, 0.3, 0.6, 0.7, 0.7, 1.0, 1.0]),
                   np.array([0.2, 0.1, 0.9, 0.3, 0.4, 0.5, 0.6, 0.7, 0.1, 0.8]),
                   np.array([1, 0, 0, 1, 0, 1, 0, 1, 1, 0]), 0.5, 0.29)
    targets = np.round(rng.normal(10, 3, 120), 4)
    predictions = np.round(targets + rng.normal(0.3, 1, 120), 4)
    wilson = [
        {"k": k, "n": n, "low": (ci := stats.binomtest(k, n).proportion_ci(method="wilson")).low, "high": ci.high}
        for k, n in [(0, 10), (3, 10), (10, 10), (57, 1234)]
    ]
    values = np.round(rng.lognormal(3, 1, 200), 4)
    document = {
        "made_with": {"scikit-learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__},
        "binary": [case("smooth", 300, 0.3, 1, 6), case("ties", 400, 0.15, 2, 1), case("rare", 500, 0.03, 3, 3), edges],
        "regression": {
            "targets": targets.tolist(),
            "predictions": predictions.tolist(),
            "rmse": skm.root_mean_squared_error(targets, predictions),
            "mae": skm.mean_absolute_error(targets, predictions),
            "r2": skm.r2_score(targets, predictions),
        },
        "wilson": wilson,
        "mean": {
            "values": values.tolist(),
            "mean": values.mean(),
            "low": stats.t.interval(0.95, 199, *mean_se(values))[0],
            "high": stats.t.interval(0.95, 199, *mean_se(values))[1],
        },
    }
    OUT.write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
