//! Tests, distances and moments against scipy (infra/golden/stats.py).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use tidemill_stats::Moments;
use tidemill_stats::distance::{jensen_shannon, psi, psi_critical, wasserstein};
use tidemill_stats::hypothesis::{
    KsMethod, benjamini_hochberg, chi_square_quantile, chi_square_test, kolmogorov_sf, ks_two_sample, two_proportion_z,
    welch_t,
};

fn document() -> Value {
    serde_json::from_str(include_str!("golden/stats.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn counts(v: &Value) -> Vec<u64> {
    v.as_array().unwrap().iter().map(|x| x.as_u64().unwrap()).collect()
}

#[track_caller]
fn within(ours: f64, theirs: &Value, tolerance: f64, what: &str) {
    let theirs = theirs.as_f64().unwrap();
    assert!((ours - theirs).abs() <= tolerance * theirs.abs().max(1.0), "{what}: ours {ours}, reference {theirs}");
}

#[track_caller]
fn close(ours: f64, theirs: &Value, what: &str) {
    within(ours, theirs, 1e-9, what);
}

#[test]
fn two_sample_tests_equal_scipy() {
    for case in document()["pairs"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        let exact = ks_two_sample(&a, &b, KsMethod::Exact).unwrap();
        close(exact.statistic, &case["ks"], name);
        close(exact.p, &case["ks_exact_p"], name);
        // Small p-values keep their digits as well.
        let theirs = case["ks_exact_p"].as_f64().unwrap();
        assert!((exact.p / theirs - 1.0).abs() < 1e-6, "{name}: {} {theirs}", exact.p);
        close(ks_two_sample(&a, &b, KsMethod::Asymptotic).unwrap().p, &case["ks_asymp_p"], name);
        let welch = welch_t(&a, &b).unwrap();
        close(welch.statistic, &case["welch_t"], name);
        close(welch.dof, &case["welch_dof"], name);
        close(welch.p, &case["welch_p"], name);
        close(wasserstein(&a, &b).unwrap(), &case["wasserstein"], name);
    }
}

#[test]
fn moments_equal_scipy() {
    for case in document()["pairs"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let moments = Moments::of(&numbers(&case["a"]));
        close(moments.mean, &case["mean"], name);
        close(moments.variance().unwrap(), &case["variance"], name);
        close(moments.skewness().unwrap(), &case["skewness"], name);
        close(moments.kurtosis().unwrap(), &case["kurtosis"], name);
    }
}

#[test]
fn count_statistics_equal_scipy() {
    for case in document()["tables"].as_array().unwrap() {
        let (a, b) = (counts(&case["a"]), counts(&case["b"]));
        let chi = chi_square_test(&a, &b).unwrap();
        close(chi.statistic, &case["chi2"], "chi2");
        assert_eq!(chi.dof, case["dof"].as_u64().unwrap());
        close(chi.p, &case["p"], "p");
        close(chi.cramers_v, &case["cramers_v"], "v");
        close(psi(&a, &b).unwrap(), &case["psi"], "psi");
        close(jensen_shannon(&a, &b).unwrap(), &case["js"], "js");
    }
    for case in document()["proportions"].as_array().unwrap() {
        let [a, n, b, m] = ["a", "n", "b", "m"].map(|key| case[key].as_u64().unwrap());
        let test = two_proportion_z(a, n, b, m).unwrap();
        close(test.statistic, &case["z"], "z");
        close(test.p, &case["p"], "p");
    }
}

#[test]
fn kolmogorov_distribution_equals_scipy() {
    for case in document()["kolmogorov"].as_array().unwrap() {
        let (n, x) = (case["n"].as_u64().unwrap(), case["x"].as_f64().unwrap());
        // Beyond 100,000 values the tail is Smirnov's approximation, whose error is of order 1/n.
        let tolerance = if n > 100_000 { 1e-5 } else { 1e-9 };
        within(kolmogorov_sf(n, x), &case["sf"], tolerance, &format!("n {n} x {x}"));
    }
}

#[test]
fn quantiles_of_chi_square_and_adjusted_p_values_equal_scipy() {
    let doc = document();
    for case in doc["chi2_quantiles"].as_array().unwrap() {
        let ours = chi_square_quantile(case["q"].as_f64().unwrap(), case["dof"].as_u64().unwrap()).unwrap();
        close(ours, &case["x"], "quantile");
    }
    let adjusted = benjamini_hochberg(&numbers(&doc["bh"]["p"])).unwrap();
    for (ours, theirs) in adjusted.iter().zip(doc["bh"]["q"].as_array().unwrap()) {
        close(*ours, theirs, "q");
    }
    // χ²₀.₉₅ with 9 degrees of freedom is 16.919.
    assert!((psi_critical(10, 1000, 500).unwrap() - 16.918_977_604_6 * 0.003).abs() < 1e-9);
}
