//! Statistics against scipy, statsmodels, pandas and scikit-learn (infra/golden/explore.py).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use serde_json::Value;
use std::sync::Arc;
use tidemill_explore::association::{associations, binned, eta, pearson, spearman, table as counted};
use tidemill_explore::missing::{Little, little, missing, predictability};
use tidemill_explore::outliers::outliers;
use tidemill_explore::table::{Categories, Column, columns};
use tidemill_stats::hypothesis::{Table, anova, benjamini_hochberg, cohens_d, kruskal_wallis, levene, welch_t};

fn document() -> Value {
    serde_json::from_str(include_str!("golden/explore.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
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

/// The reference frame as a sample.
fn frame(document: &Value, names: &[&str]) -> Vec<Column> {
    let array = |name: &&str| -> ArrayRef {
        let values = document["frame"][*name].as_array().unwrap().iter().map(Value::as_f64);
        Arc::new(Float64Array::from_iter(values))
    };
    let batch = RecordBatch::try_from_iter_with_nullable(names.iter().map(|name| (*name, array(name), true))).unwrap();
    columns(&batch).unwrap()
}

#[test]
fn tests_between_groups_equal_scipy_and_statsmodels() {
    for case in document()["groups"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let parts: Vec<Vec<f64>> = case["parts"].as_array().unwrap().iter().map(numbers).collect();
        let slices: Vec<&[f64]> = parts.iter().map(Vec::as_slice).collect();
        let test = anova(&slices).unwrap();
        close(test.statistic, &case["anova"], name);
        close(test.p, &case["anova_p"], name);
        close(test.p, &case["anova_p_statsmodels"], name);
        close(test.eta_squared, &case["eta_squared"], name);
        let test = levene(&slices).unwrap();
        close(test.statistic, &case["levene"], name);
        close(test.p, &case["levene_p"], name);
        let test = kruskal_wallis(&slices).unwrap();
        close(test.statistic, &case["kruskal"], name);
        close(test.p, &case["kruskal_p"], name);
        close(test.eta_squared, &case["kruskal_eta_squared"], name);
        if let [a, b] = slices.as_slice() {
            close(cohens_d(a, b).unwrap(), &case["cohens_d"], name);
            let welch = welch_t(a, b).unwrap();
            close(welch.statistic, &case["welch"], name);
            close(welch.p, &case["welch_p"], name);
        }
    }
}

#[test]
fn tables_of_counts_equal_scipy_and_scikit_learn() {
    for case in document()["tables"].as_array().unwrap() {
        let rows: Vec<Vec<f64>> = case["counts"].as_array().unwrap().iter().map(numbers).collect();
        let cells: Vec<u64> = rows.concat().iter().map(|count| *count as u64).collect();
        let table = Table::new(&cells, rows.len(), rows[0].len()).unwrap();
        let found = table.chi_square();
        let what = case["counts"].to_string();
        close(found.statistic, &case["chi2"], &what);
        assert_eq!(found.dof, case["dof"].as_u64().unwrap());
        close(found.p, &case["p"], &what);
        close(found.least_expected, &case["least_expected"], &what);
        close(found.cramers_v, &case["v"], &what);
        close(found.cramers_v_corrected, &case["v_corrected"], &what);
        close(found.mutual_information, &case["mutual_information"], &what);
        if let Some(p) = table.fisher() {
            close(p, &case["fisher_p"], &what);
        }
        assert_eq!(table.fisher().is_some(), case.get("fisher_p").is_some());
    }
}

#[test]
fn relations_equal_pandas_and_scikit_learn() {
    let document = document();
    let names = ["a", "b", "c", "d"];
    let columns = frame(&document, &names);
    let found = associations(&columns);
    for (i, a) in names.iter().enumerate() {
        for (j, b) in names.iter().enumerate().filter(|(j, _)| *j != i) {
            let pair = found.pair(a, b).unwrap();
            close(pair.pearson.unwrap(), &document["pearson"][i][j], "pearson");
            close(pair.value.unwrap(), &document["spearman"][i][j], "spearman");
        }
    }
    let texts = document["category"].as_array().unwrap().iter().map(Value::as_str);
    let category = Categories::of(texts);
    let (ratio, _) = eta(&columns[2].numbers, &category);
    close(ratio.unwrap(), &document["eta"], "eta");
    let (x, y) = (numbers(&document["complete"]["a"]), numbers(&document["complete"]["c"]));
    let (x, y) = (binned(&x, 10), binned(&y, 10));
    let (table, _) = counted((&x.0, x.1), (&y.0, y.1)).unwrap();
    close(table.chi_square().mutual_information, &document["mutual_information"], "mutual information");
}

#[test]
fn missing_cells_equal_pandas_scikit_learn_and_an_em_by_rows() {
    let document = document();
    let columns = frame(&document, &["a", "b", "c", "d"]);
    let found = missing(&columns, &[], None, 0);
    assert_eq!(found.columns, ["b", "c", "d"]);
    for (i, a) in found.columns.iter().enumerate() {
        for (j, b) in found.columns.iter().enumerate().skip(i + 1) {
            let pair = found.nullity.iter().find(|pair| pair.a == *a && pair.b == *b).unwrap();
            close(pair.correlation, &document["nullity"][i][j], "nullity");
        }
    }
    let patterns = document["patterns"].as_object().unwrap();
    assert_eq!(found.pattern_count, patterns.len() as u64);
    for pattern in &found.patterns {
        let flag = |name: &str| if pattern.missing.iter().any(|m| m == name) { "True" } else { "False" };
        let key = format!("({}, {}, {}, {})", flag("a"), flag("b"), flag("c"), flag("d"));
        assert_eq!(pattern.rows, patterns[&key].as_u64().unwrap(), "{key}");
    }
    let check = |ours: &Little, theirs: &Value| {
        within(ours.statistic, &theirs["d2"], 1e-8, "d²");
        assert_eq!((Some(ours.dof), Some(ours.patterns)), (theirs["dof"].as_u64(), theirs["patterns"].as_u64()));
        within(ours.p, &theirs["p"], 1e-8, "p");
    };
    check(found.little.as_ref().unwrap(), &document["little"]);
    check(&little(&frame(&document, &["a", "b"])).unwrap(), &document["little_unrelated"]);
    let gappy: Vec<&Column> = columns.iter().filter(|column| column.missing_count() > 0).collect();
    let scores = predictability(&columns, &gappy, 0);
    assert_eq!(scores.len(), 3);
    for score in scores {
        close(score.auc, &document["auc"][&score.column], &score.column);
    }
}

#[test]
fn outliers_and_adjusted_chances_equal_numpy_scipy_and_statsmodels() {
    let document = document();
    for case in document["outliers"].as_array().unwrap() {
        let found = outliers(&numbers(&case["values"])).unwrap();
        close(found.fences.0, &case["fences"][0], "lower fence");
        close(found.fences.1, &case["fences"][1], "upper fence");
        let theirs = ["iqr", "z", "mad"].map(|rule| case[rule].as_u64().unwrap());
        assert_eq!([found.iqr, found.z, found.mad.unwrap()], theirs);
    }
    let q = benjamini_hochberg(&numbers(&document["fdr"]["p"])).unwrap();
    q.iter().zip(document["fdr"]["q"].as_array().unwrap()).for_each(|(ours, theirs)| close(*ours, theirs, "q"));
}

#[test]
fn a_constant_has_no_correlation() {
    assert_eq!(pearson(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
    assert!((spearman(&[1.0, 2.0, 3.0], &[3.0, 5.0, 90.0]).unwrap() - 1.0).abs() < 1e-12);
}
