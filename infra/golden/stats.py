"""Reference values for tidemill-stats, from scipy and numpy.

Run: python infra/golden/stats.py   (needs numpy, scipy; writes shared/stats/tests/golden/)
"""

import json
import pathlib

import numpy as np
import scipy
from scipy import stats
from scipy.spatial.distance import jensenshannon

OUT = pathlib.Path(__file__).parents[2] / "shared/stats/tests/golden/stats.json"


def pair(name, a, b):
    """Two samples with every two-sample statistic."""
    a, b = np.sort(a), np.sort(b)
    exact, asymp = (stats.ks_2samp(a, b, method=m) for m in ("exact", "asymp"))
    welch = stats.ttest_ind(a, b, equal_var=False)
    return {
        "name": name,
        "a": a.tolist(),
        "b": b.tolist(),
        "ks": exact.statistic,
        "ks_exact_p": exact.pvalue,
        "ks_asymp_p": asymp.pvalue,
        "welch_t": welch.statistic,
        "welch_dof": welch.df,
        "welch_p": welch.pvalue,
        "wasserstein": stats.wasserstein_distance(a, b),
        "mean": a.mean(),
        "variance": a.var(ddof=1),
        "skewness": stats.skew(a),
        "kurtosis": stats.kurtosis(a),
    }


def table(a, b):
    """Two count vectors with every statistic of counts."""
    a, b = np.array(a), np.array(b)
    seen = (a + b) > 0
    chi2 = stats.chi2_contingency(np.array([a[seen], b[seen]]), correction=False)
    e, c = np.maximum(a / a.sum(), 1e-4), np.maximum(b / b.sum(), 1e-4)
    return {
        "a": a.tolist(),
        "b": b.tolist(),
        "chi2": chi2.statistic,
        "dof": chi2.dof,
        "p": chi2.pvalue,
        "cramers_v": stats.contingency.association(np.array([a[seen], b[seen]]), method="cramer"),
        "psi": float(np.sum((c - e) * np.log(c / e))),
        "js": jensenshannon(a, b, base=2),
    }


def proportions(a, n, b, m):
    pooled = (a + b) / (n + m)
    z = (a / n - b / m) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return {"a": a, "n": n, "b": b, "m": m, "z": z, "p": 2 * stats.norm.sf(abs(z))}


def main():
    rng = np.random.default_rng(11)
    draw = lambda loc, scale, n: np.round(rng.normal(loc, scale, n), 4)
    p_values = np.round(rng.random(12) ** 3, 6)
    document = {
        "made_with": {"scipy": scipy.__version__, "numpy": np.__version__},
        "pairs": [
            pair("same size", draw(0, 1, 60), draw(0.3, 1, 60)),
            pair("other size", draw(0, 1, 80), draw(0.5, 2, 45)),
            pair("ties", np.round(draw(0, 1, 70), 1), np.round(draw(0.1, 1, 50), 1)),
            pair("tiny", draw(0, 1, 4), draw(1, 1, 5)),
            pair("far apart", draw(0, 1, 60), draw(3, 1, 70)),
            pair("large", draw(0, 1, 400), draw(0.02, 1, 500)),
            pair("large and shifted", draw(0, 1, 400), draw(0.4, 1, 500)),
            pair("skewed", np.round(rng.lognormal(0, 1, 90), 4), np.round(rng.lognormal(0.1, 1, 90), 4)),
        ],
        "tables": [
            table([30, 20, 50], [20, 25, 40]),
            table([100, 0, 5, 40], [80, 3, 0, 60]),
            table([120, 110, 90, 100, 80, 100, 100, 100, 100, 100, 4], [20, 11, 9, 10, 8, 10, 13, 16, 9, 10, 0]),
            table([1000, 10, 0], [10, 1000, 0]),
        ],
        "proportions": [proportions(30, 100, 45, 110), proportions(2, 500, 9, 450)],
        "kolmogorov": [
            {"n": n, "x": x, "sf": stats.kstwo.sf(x, n)}
            for n, x in [(5, 0.4), (20, 0.2), (50, 0.15), (120, 0.1), (120, 0.25), (300, 0.05), (1000, 0.03),
                         (1000, 0.06), (20000, 0.008), (20000, 0.02), (1000000, 0.0012), (1000000, 0.002)]
        ],
        "chi2_quantiles": [{"q": q, "dof": k, "x": stats.chi2.ppf(q, k)} for q, k in [(0.95, 1), (0.95, 9), (0.99, 300)]],
        "bh": {"p": p_values.tolist(), "q": stats.false_discovery_control(p_values).tolist()},
    }
    OUT.write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
