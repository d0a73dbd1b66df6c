"""Reference values for distance correlation and for chi-square tests by random tables.

Run: python infra/golden/relations.py   (numpy 2.4, scipy 1.17, dcor 0.7; writes
shared/explore/tests/golden/relations.json)

Distance correlation is that of `dcor` and, as a check of the check, of its definition with full matrices. Chances are
those of many more permutations or random tables than ours, so that ours must lie within their own error of them.
"""

import json
import pathlib

import dcor
import numpy as np
import scipy
from scipy import stats

OUT = pathlib.Path(__file__).parents[2] / "shared/explore/tests/golden/relations.json"
PERMUTATIONS = 20_000
TABLES = 200_000


def centred(values):
    d = np.abs(values[:, None] - values[None, :])
    return d - d.mean(0) - d.mean(1)[:, None] + d.mean()


def distance(name, x, y, rng):
    """Székely, Rizzo & Bakirov (2007), definition 4, with the chance of a permutation test."""
    a, b = centred(x), centred(y)
    covariance, scale = (a * b).mean(), np.sqrt((a * a).mean() * (b * b).mean())
    by_definition = float(np.sqrt(covariance / scale))
    value = float(dcor.distance_correlation(x, y))
    assert abs(value - by_definition) < 1e-12, (name, value, by_definition)
    as_large = 0
    for _ in range(PERMUTATIONS):
        order = rng.permutation(len(x))
        as_large += (a * b[np.ix_(order, order)]).mean() >= covariance * (1 - 1e-12)
    return {
        "name": name,
        "x": x.tolist(),
        "y": y.tolist(),
        "distance": value,
        "pearson": float(np.corrcoef(x, y)[0, 1]),
        "p": (1 + int(as_large)) / (1 + PERMUTATIONS),
    }


def table(counts, rng):
    counts = np.array(counts)
    found = stats.chi2_contingency(
        counts, correction=False, method=stats.MonteCarloMethod(n_resamples=TABLES, rng=rng)
    )
    return {
        "counts": counts.tolist(),
        "chi2": float(found.statistic),
        "p": float(found.pvalue),
        "p_of_the_limit": float(stats.chi2_contingency(counts, correction=False).pvalue),
    }


def main():
    rng = np.random.default_rng(11)
    n = 120
    x = np.round(rng.normal(0, 1, n), 3)
    noise = lambda scale: rng.normal(0, scale, n)
    turn = rng.uniform(0, 2 * np.pi, n)
    document = {
        "made_with": {m.__name__: m.__version__ for m in (np, scipy, dcor)},
        "distances": [
            distance("line", x, np.round(2 * x + noise(0.5), 3), rng),
            distance("parabola", x, np.round(x * x + noise(0.3), 3), rng),
            distance("circle", np.round(np.cos(turn) + noise(0.1), 3), np.round(np.sin(turn) + noise(0.1), 3), rng),
            distance("weak wave", x, np.round(np.sin(4 * x) + noise(1.2), 3), rng),
            distance("nothing", x, np.round(noise(1.0), 3), rng),
            distance("ties", np.round(x), np.round(x * x / 2 + noise(0.5)), rng),
            distance("far value", np.append(x[:-1], 1e6), np.round(x * x, 3), rng),
        ],
        "tables": [
            table([[3, 1, 0], [1, 4, 2], [0, 2, 5]], rng),
            table([[1, 0, 2, 0], [0, 3, 1, 1], [2, 1, 0, 4], [1, 1, 1, 1]], rng),
            table([[12, 0, 1], [9, 3, 0]], rng),
            table([[100, 3, 1], [80, 9, 0], [90, 1, 1]], rng),
            table([[40, 1], [35, 2], [30, 0], [5, 4]], rng),
        ],
    }
    OUT.write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
