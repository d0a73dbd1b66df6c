"""Reference values for tidemill-explore and the tests that choose themselves, from scipy, statsmodels, pandas and
scikit-learn.

Run: python infra/golden/explore.py   (numpy 2.4, scipy 1.17, statsmodels 0.15, pandas 3.1, scikit-learn 1.9;
writes shared/explore/tests/golden/explore.json)

Two references are our own, because these packages lack them: the bias correction of Cramér's V (Bergsma 2013, over
scipy's chi-square) and Little's test (EM row by row with numpy's solver, where ours works on sums of patterns).
"""

import json
import pathlib

import numpy as np
import pandas as pd
import scipy
import sklearn
import statsmodels
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.preprocessing import StandardScaler
from sklearn.impute import SimpleImputer
from statsmodels.formula.api import ols
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.oneway import anova_oneway

OUT = pathlib.Path(__file__).parents[2] / "shared/explore/tests/golden/explore.json"


def groups(name, parts):
    """Several samples with every test between them."""
    f, levene, h = stats.f_oneway(*parts), stats.levene(*parts), stats.kruskal(*parts)
    n, k = sum(map(len, parts)), len(parts)
    values = np.concatenate(parts)
    labels = np.repeat(np.arange(k), [len(p) for p in parts])
    model = ols("y ~ C(g)", pd.DataFrame({"y": values, "g": labels})).fit()
    out = {
        "name": name,
        "parts": [p.tolist() for p in parts],
        "anova": f.statistic,
        "anova_p": f.pvalue,
        "anova_p_statsmodels": anova_oneway(parts, use_var="equal").pvalue,
        "eta_squared": model.rsquared,
        "levene": levene.statistic,
        "levene_p": levene.pvalue,
        "kruskal": h.statistic,
        "kruskal_p": h.pvalue,
        "kruskal_eta_squared": min(1.0, max(0.0, (h.statistic - k + 1) / (n - k))),
    }
    if k == 2:
        a, b = parts
        pooled = np.sqrt(((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / (n - 2))
        welch = stats.ttest_ind(a, b, equal_var=False)
        out |= {"cohens_d": (a.mean() - b.mean()) / pooled, "welch": welch.statistic, "welch_p": welch.pvalue}
    return out


def table(counts):
    """A table of counts with every measure of dependence."""
    counts = np.array(counts)
    chi = stats.chi2_contingency(counts, correction=False)
    n, (r, c) = counts.sum(), counts.shape
    phi2 = max(0.0, chi.statistic / n - (r - 1) * (c - 1) / (n - 1))
    r2, c2 = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    rows, columns = (np.repeat(np.indices(counts.shape)[i].ravel(), counts.ravel()) for i in (0, 1))
    out = {
        "counts": counts.tolist(),
        "chi2": chi.statistic,
        "dof": int(chi.dof),
        "p": chi.pvalue,
        "least_expected": chi.expected_freq.min(),
        "v": stats.contingency.association(counts, method="cramer"),
        "v_corrected": np.sqrt(phi2 / min(r2 - 1, c2 - 1)),
        "mutual_information": mutual_info_score(rows, columns),
    }
    if counts.shape == (2, 2):
        out["fisher_p"] = stats.fisher_exact(counts).pvalue
    return out


def binned(values, bins):
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    return np.searchsorted(edges, values, side="right")


def little(frame):
    """d², degrees of freedom and p of Little (1988), EM over single rows."""
    x = frame.to_numpy()
    x = (x - np.nanmean(x, 0)) / np.nanstd(x, 0, ddof=1)
    n, k = x.shape
    mean, cov = np.zeros(k), np.eye(k)
    for _ in range(5000):
        filled, extra = np.empty_like(x), np.zeros((k, k))
        for i, row in enumerate(x):
            seen = ~np.isnan(row)
            filled[i] = row
            if not seen.all():
                slopes = np.linalg.solve(cov[np.ix_(seen, seen)], cov[np.ix_(seen, ~seen)]).T
                filled[i, ~seen] = mean[~seen] + slopes @ (row[seen] - mean[seen])
                extra[np.ix_(~seen, ~seen)] += cov[np.ix_(~seen, ~seen)] - slopes @ cov[np.ix_(seen, ~seen)]
        new_mean = filled.mean(0)
        new_cov = (filled.T @ filled + extra) / n - np.outer(new_mean, new_mean)
        moved = max(np.abs(new_mean - mean).max(), np.abs(new_cov - cov).max())
        mean, cov = new_mean, new_cov
        if moved < 1e-14:
            break
    d2, known = 0.0, 0
    patterns = {tuple(row) for row in ~np.isnan(x)}
    for pattern in patterns:
        seen = np.array(pattern)
        rows = x[(~np.isnan(x) == seen).all(1)][:, seen]
        gap = rows.mean(0) - mean[seen]
        d2 += len(rows) * gap @ np.linalg.solve(cov[np.ix_(seen, seen)], gap)
        known += int(seen.sum())
    dof = known - k
    return {"d2": d2, "dof": dof, "p": stats.chi2.sf(d2, dof), "patterns": len(patterns)}


def predictability(frame, column):
    """AUC of "is missing" on the other half, as the module says it."""
    others = frame.drop(columns=column)
    labels = frame[column].isna().to_numpy()
    scores, at = np.empty(len(frame)), np.arange(len(frame)) % 2
    for half in (0, 1):
        fit, held = others[at != half], others[at == half]
        impute = SimpleImputer(strategy="median", add_indicator=True).fit(fit)
        scale = StandardScaler().fit(impute.transform(fit))
        model = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
        model.fit(scale.transform(impute.transform(fit)), labels[at != half])
        scores[at == half] = model.predict_proba(scale.transform(impute.transform(held)))[:, 1]
    return roc_auc_score(labels, scores)


def outliers(values):
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    mad = stats.median_abs_deviation(values)
    return {
        "values": values.tolist(),
        "fences": [low, high],
        "iqr": int(((values < low) | (values > high)).sum()),
        "z": int((np.abs(values - values.mean()) / values.std(ddof=1) > 3).sum()),
        "mad": int((0.6745 * np.abs(values - median) / mad > 3.5).sum()),
    }


def main():
    rng = np.random.default_rng(5)
    draw = lambda loc, scale, n: np.round(rng.normal(loc, scale, n), 4)
    n = 400
    a = draw(0, 1, n)
    frame = pd.DataFrame({
        "a": a,
        "b": np.round(a * 0.7 + rng.normal(0, 0.7, n), 4),
        "c": np.round(rng.lognormal(0, 1, n), 2),
        "d": np.round(rng.integers(0, 5, n) + a.clip(-1, 1), 1),
    })
    frame.loc[rng.random(n) < 0.15, "b"] = np.nan
    frame.loc[(frame["a"] > 0.4) & (rng.random(n) < 0.6), "c"] = np.nan
    frame.loc[frame["b"].isna() & (rng.random(n) < 0.5), "d"] = np.nan
    complete = frame.dropna()
    category = np.array(["x", "y", "z"])[np.digitize(a + rng.normal(0, 1, n), [-0.5, 0.8])]
    by = pd.DataFrame({"g": category, "v": frame["c"]}).dropna()
    model = ols("v ~ C(g)", by).fit()
    p_values = np.round(rng.random(30) ** 4, 6)
    document = {
        "made_with": {m.__name__: m.__version__ for m in (np, scipy, statsmodels, pd, sklearn)},
        "groups": [
            groups("two", [draw(0, 1, 40), draw(0.5, 1.5, 55)]),
            groups("three alike", [draw(0, 1, 30), draw(0.1, 1, 25), draw(0.4, 1, 40)]),
            groups("ties", [np.round(draw(0, 1, 30), 0), np.round(draw(0.5, 1, 30), 0), np.round(draw(1, 3, 20), 0)]),
            groups("skewed", [np.round(rng.lognormal(0, 1, 20), 3), np.round(rng.lognormal(0.8, 1, 12), 3)]),
        ],
        "tables": [
            table([[30, 20, 50], [20, 25, 40]]),
            table([[8, 2], [1, 5]]),
            table([[0, 7], [9, 3]]),
            table([[120, 90], [80, 110]]),
            table([[10, 20, 30], [6, 9, 17], [3, 40, 2], [11, 12, 13]]),
            table([[25, 25], [25, 25]]),
        ],
        "frame": {name: [None if np.isnan(v) else v for v in frame[name]] for name in frame},
        "category": category.tolist(),
        "pearson": frame.corr().to_numpy().tolist(),
        "spearman": frame.corr(method="spearman").to_numpy().tolist(),
        "nullity": frame[["b", "c", "d"]].isna().corr().to_numpy().tolist(),
        "eta": float(np.sqrt(model.rsquared)),
        "mutual_information": mutual_info_score(binned(complete["a"].to_numpy(), 10), binned(complete["c"].to_numpy(), 10)),
        "complete": {"a": complete["a"].tolist(), "c": complete["c"].tolist()},
        "patterns": {str(k): int(v) for k, v in frame.isna().value_counts().items()},
        "little": little(frame),
        "little_unrelated": little(frame[["a", "b"]]),
        "auc": {name: predictability(frame, name) for name in ("b", "c", "d")},
        "outliers": [outliers(frame["c"].dropna().to_numpy()), outliers(draw(0, 1, 101))],
        "fdr": {"p": p_values.tolist(), "q": multipletests(p_values, method="fdr_bh")[1].tolist()},
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
