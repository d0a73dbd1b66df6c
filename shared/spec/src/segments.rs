//! Whether rows can be profiled apart by the columns that a source names for it.

use crate::column::ColumnType;
use crate::model::Source;
use tidemill_privacy::Declaration;

/// Columns at most: the rows are read once for each.
const MOST: usize = 3;

/// Message and mend of each thing that is wrong. That a column is declared is checked where names are.
pub(crate) fn problems(source: &Source) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if source.segments.len() > MOST {
        let message = format!("{} columns are named, at most {MOST} can be", source.segments.len());
        found.push((message, "keep the ones that are asked for most".to_owned()));
    }
    for (place, name) in source.segments.iter().enumerate() {
        let Some(column) = source.columns.get(name) else { continue };
        if source.segments.iter().take(place).any(|before| before == name) {
            found.push((format!("column \"{name}\" is named twice"), "name it once".to_owned()));
        }
        if matches!(column.kind, ColumnType::Float32 | ColumnType::Float64 | ColumnType::Timestamp) {
            let message = format!("column \"{name}\" of type {} has too many values", column.kind.as_str());
            found.push((message, "name a column of few values: string, boolean or an integer".to_owned()));
        }
        if column.pii.and_then(Declaration::class).is_some() {
            let message = format!("column \"{name}\" is personal data: its values would name the segments");
            found.push((message, "name a column that is not personal".to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use crate::Spec;

    const METERS: &str = include_str!("../../../tests/data/meters.yaml");

    fn with(segments: &str) -> String {
        METERS.replacen("    event_time: at\n", &format!("    event_time: at\n    segments: {segments}\n"), 1)
    }

    #[test]
    fn segments_are_declared_columns_of_few_values_that_nobody_is_known_by() {
        let silent = Spec::parse(METERS).unwrap();
        assert!(!serde_json::to_string(&silent).unwrap().contains("segments"), "written as before");
        let spec = Spec::parse(&with("[meter]")).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(spec.sources.values().next().unwrap().segments, ["meter"]);
        for (segments, told) in [
            ("[metre]", "meter"),
            ("[at]", "timestamp"),
            ("[value]", "float64"),
            ("[meter, meter]", "twice"),
            ("[n, n, n, n]", "at most 3"),
        ] {
            let refused = Spec::parse(&with(segments)).unwrap_err().to_string();
            assert!(refused.contains("sources.readings.segments") && refused.contains(told), "{segments}: {refused}");
        }
        let personal = with("[meter]").replace("meter: {type: string", "meter: {type: string, pii: address");
        let refused = Spec::parse(&personal).unwrap_err().to_string();
        assert!(refused.contains("sources.readings.segments") && refused.contains("personal"), "{refused}");
    }
}
