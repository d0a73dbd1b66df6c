//! Which column came from which, as the project file says it.

use crate::facets::{InputField, OutputColumn, Transformation};
use crate::names;
use std::collections::{BTreeMap, BTreeSet};
use tidemill_expr::columns_of;
use tidemill_spec::{Input, Spec};
use tidemill_types::{SourceName, columns as system};

/// Columns of a dataset with what each is made from.
pub type Columns = BTreeMap<String, OutputColumn>;

/// Name of the label in training sets.
pub const LABEL: &str = "tm_label";
/// Name of the score that a model gives.
pub const SCORE: &str = "score";

/// What is collected for one output column.
struct Made<'a> {
    namespace: &'a str,
    inputs: BTreeMap<(String, String), BTreeSet<Transformation>>,
}

impl Made<'_> {
    fn add(&mut self, dataset: &str, column: &str, how: Transformation) {
        self.inputs.entry((dataset.to_owned(), column.to_owned())).or_default().insert(how);
    }

    fn done(self) -> OutputColumn {
        let namespace = self.namespace.to_owned();
        let field = |((name, field), transformations): (_, BTreeSet<Transformation>)| InputField {
            namespace: namespace.clone(),
            name,
            field,
            transformations: transformations.into_iter().collect(),
        };
        OutputColumn { input_fields: self.inputs.into_iter().map(field).collect() }
    }
}

/// Every declared column taken over as it is from one dataset into another.
fn taken_over(spec: &Spec, source: &SourceName, from: &str, also: &[&str]) -> Columns {
    let namespace = names::namespace(&spec.project);
    let declared = spec.sources.get(source).map(|source| source.columns.keys().map(String::as_str));
    let taken = |name: &str| {
        let mut made = Made { namespace: &namespace, inputs: BTreeMap::new() };
        made.add(from, name, Transformation::direct("IDENTITY", ""));
        (name.to_owned(), made.done())
    };
    declared.into_iter().flatten().chain(also.iter().copied()).map(taken).collect()
}

/// Columns of the raw table of a source: those of its events.
#[must_use]
pub fn raw(spec: &Spec, source: &SourceName) -> Columns {
    let mut columns = taken_over(spec, source, &names::events(&spec.project, source), &[]);
    let known = spec.sources.get(source).and_then(|source| source.known_at.as_ref());
    if let Some(known) = known {
        let namespace = names::namespace(&spec.project);
        let mut made = Made { namespace: &namespace, inputs: BTreeMap::new() };
        made.add(&names::events(&spec.project, source), known, Transformation::direct("IDENTITY", "known_at"));
        columns.insert(system::KNOWN_AT.to_owned(), made.done());
    }
    columns
}

/// Columns of the clean and of the quarantine table of a source: those of its raw table, as the project decided to mend
/// them.
#[must_use]
pub fn cleaned(spec: &Spec, source: &SourceName) -> Columns {
    let raw = format!("raw/{}/{source}", spec.project);
    let mut columns = taken_over(spec, source, &raw, &system::ADDED);
    let namespace = names::namespace(&spec.project);
    for column in spec.decisions(source).iter().map(|decision| &decision.column).collect::<BTreeSet<_>>() {
        let mut made = Made { namespace: &namespace, inputs: BTreeMap::new() };
        for decision in spec.decisions(source).iter().filter(|decision| decision.column == *column) {
            let text = format!("{}: {}", decision.id, decision.says());
            for read in decision.filter.iter().chain(&decision.to_null) {
                for other in columns_of(read).unwrap_or_default() {
                    made.add(&raw, &other, Transformation::indirect("CONDITIONAL", read));
                }
            }
            made.add(&raw, column, Transformation::direct("TRANSFORMATION", &text));
        }
        columns.insert(column.clone(), made.done());
    }
    columns
}

fn clean(spec: &Spec, source: &SourceName) -> String {
    format!("clean/{}/{source}", spec.project)
}

/// Columns of a training set: every feature and the label.
#[must_use]
pub fn features(spec: &Spec) -> Columns {
    let namespace = names::namespace(&spec.project);
    let mut all = Columns::new();
    for (name, definition) in &spec.features.define {
        let mut made = Made { namespace: &namespace, inputs: BTreeMap::new() };
        feature(&mut made, spec, definition.expr());
        all.insert(name.clone(), made.done());
    }
    let label = &spec.features.label;
    let (mut made, table) = (Made { namespace: &namespace, inputs: BTreeMap::new() }, clean(spec, &label.source));
    for column in columns_of(&label.value).unwrap_or_default() {
        made.add(&table, &column, Transformation::direct("TRANSFORMATION", &label.value));
    }
    made.add(
        &table,
        &label.key,
        Transformation::indirect("JOIN", &format!("{} = {}", label.key, spec.features.entity.key)),
    );
    all.insert(LABEL.to_owned(), made.done());
    all
}

fn feature(made: &mut Made<'_>, spec: &Spec, expr: &str) {
    let entity = clean(spec, &spec.features.entity.source);
    for name in columns_of(expr).unwrap_or_default() {
        match name.split_once('.').and_then(|(input, output)| Some((spec.features.inputs.get(input)?, input, output))) {
            Some((input, label, output)) => operator(made, spec, (label, input), output, expr),
            None if name == "as_of" => {
                for column in columns_of(&spec.features.as_of).unwrap_or_default() {
                    made.add(&entity, &column, Transformation::direct("TRANSFORMATION", &spec.features.as_of));
                }
            }
            None => {
                let how = if expr == name { "IDENTITY" } else { "TRANSFORMATION" };
                made.add(&entity, &name, Transformation::direct(how, expr));
            }
        }
    }
}

/// What one output of an operator over history reads.
fn operator(made: &mut Made<'_>, spec: &Spec, (label, input): (&str, &Input), output: &str, expr: &str) {
    let (table, entity) = (clean(spec, &input.from), clean(spec, &spec.features.entity.source));
    let by = if input.by.is_empty() { "all rows".to_owned() } else { format!("by {}", input.by.join(", ")) };
    let through = if expr == format!("{label}.{output}") { String::new() } else { format!("; {expr}") };
    if let Some(text) = input.values.get(output) {
        let window = input.window.map(|window| window.to_string()).unwrap_or_default();
        let said = format!("{text} over {window} {by}{through}");
        let read = argument(text);
        // A count reads no column: the rows themselves take part.
        let read = if read.is_empty() { input.by.clone() } else { read };
        for column in read {
            made.add(&table, &column, Transformation::direct("AGGREGATION", &said));
        }
    } else if let Some(text) = input.last.get(output) {
        for column in columns_of(text).unwrap_or_default() {
            let said = format!("{text} of the newest row {by}{through}");
            made.add(&table, &column, Transformation::direct("TRANSFORMATION", &said));
        }
    } else {
        let said = format!("age of the newest row {by}{through}");
        made.add(&table, system::KNOWN_AT, Transformation::direct("TRANSFORMATION", &said));
    }
    for column in &input.by {
        for side in [&table, &entity] {
            made.add(side, column, Transformation::indirect("JOIN", &by));
        }
    }
    if let Some(filter) = &input.filter {
        for column in columns_of(filter).unwrap_or_default() {
            made.add(&table, &column, Transformation::indirect("FILTER", filter));
        }
    }
    let time = input.on.as_deref().unwrap_or(system::KNOWN_AT);
    made.add(&table, time, Transformation::indirect("WINDOW", "rows known by the instant of the prediction"));
    if let Some(anchor) = &input.anchor {
        for column in columns_of(anchor).unwrap_or_default() {
            made.add(&entity, &column, Transformation::indirect("WINDOW", anchor));
        }
    }
}

/// Columns in the argument of an aggregate such as `mean(delay >= 15)`.
fn argument(text: &str) -> Vec<String> {
    let inner = text.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or("", |(inner, _)| inner);
    if inner.trim().is_empty() { Vec::new() } else { columns_of(inner).unwrap_or_default() }
}

/// The score of a model: every feature takes part.
#[must_use]
pub fn score(spec: &Spec, training_set: &str, learner: &str, features: &[String]) -> Columns {
    let namespace = names::namespace(&spec.project);
    let mut made = Made { namespace: &namespace, inputs: BTreeMap::new() };
    for feature in features {
        made.add(training_set, feature, Transformation::direct("TRANSFORMATION", learner));
    }
    made.add(training_set, LABEL, Transformation::indirect("CONDITIONAL", "fitted to it"));
    Columns::from([(SCORE.to_owned(), made.done())])
}

/// Columns of the prediction log: the scores of the models that answered, the features that they were given, and whom
/// and when each prediction is about. The log calls key, instant and score as given.
#[must_use]
pub fn predictions<'m>(
    spec: &Spec,
    [key_column, as_of_column, score_column]: [&str; 3],
    models: impl Iterator<Item = &'m str>,
) -> Columns {
    let namespace = names::namespace(&spec.project);
    let new = || Made { namespace: &namespace, inputs: BTreeMap::new() };
    let (entity, set) = (clean(spec, &spec.features.entity.source), format!("features/{}", spec.features.set));
    let mut all = Columns::new();
    for feature in spec.features.define.keys() {
        let mut made = new();
        made.add(&set, feature, Transformation::direct("IDENTITY", ""));
        all.insert(feature.clone(), made.done());
    }
    let (mut key, mut as_of, mut score) = (new(), new(), new());
    key.add(&entity, &spec.features.entity.key, Transformation::direct("IDENTITY", ""));
    for column in columns_of(&spec.features.as_of).unwrap_or_default() {
        as_of.add(&entity, &column, Transformation::direct("TRANSFORMATION", &spec.features.as_of));
    }
    for model in models {
        score.add(model, SCORE, Transformation::direct("IDENTITY", ""));
    }
    for (name, made) in [(key_column, key), (as_of_column, as_of), (score_column, score)] {
        all.insert(name.to_owned(), made.done());
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn flights() -> Spec {
        Spec::parse(include_str!("../../../infra/examples/flights/project.yaml")).unwrap()
    }

    fn inputs(column: &OutputColumn, kind: &str) -> Vec<String> {
        let of_kind = column.input_fields.iter().filter(|f| f.transformations.iter().any(|t| t.kind == kind));
        of_kind.map(|f| format!("{}.{}", f.name, f.field)).collect()
    }

    #[test]
    fn a_feature_names_every_column_that_decides_its_value() {
        let all = features(&flights());
        assert_eq!(inputs(&all["distance"], "DIRECT"), ["clean/flights/schedules.distance"]);
        assert_eq!(all["distance"].input_fields[0].transformations[0].subtype, "IDENTITY");

        let late = &all["dep_o3_late"];
        assert_eq!(inputs(late, "DIRECT"), ["clean/flights/departures.dep_delay_min"]);
        let text = &late.input_fields.iter().find(|f| f.field == "dep_delay_min").unwrap().transformations[0];
        assert_eq!(text.description, "mean(dep_delay_min >= 15) over 3h by origin");
        let indirect = inputs(late, "INDIRECT");
        let expected = [
            "clean/flights/departures.origin",
            "clean/flights/departures.tm_known_at",
            "clean/flights/schedules.origin",
        ];
        assert_eq!(indirect, expected);

        // Three operators over three sources, one with a filter.
        let backlog = inputs(&all["backlog_o3"], "INDIRECT");
        assert!(backlog.contains(&"clean/flights/outcomes.status".to_owned()), "{backlog:?}");
        assert_eq!(inputs(&all[LABEL], "DIRECT").len(), 2);
    }

    #[test]
    fn a_mended_column_names_its_decisions_and_what_they_look_at() {
        let mut spec = flights();
        let weather: SourceName = "weather".parse().unwrap();
        let decisions = "
- {id: stuck, column: temp, to_null: \"temp < -80\", where: \"origin = 'JFK'\", reason: the sensor is off, by: ann}";
        spec.cleaning.insert(weather.clone(), tidemill_spec::read_yaml(decisions).unwrap());
        let columns = cleaned(&spec, &weather);
        let temp = &columns["temp"];
        assert_eq!(inputs(temp, "DIRECT"), ["raw/flights/weather.temp"]);
        assert_eq!(inputs(temp, "INDIRECT"), ["raw/flights/weather.origin", "raw/flights/weather.temp"]);
        let texts = temp.input_fields.iter().flat_map(|field| &field.transformations);
        assert!(texts.into_iter().any(|t| t.description == "stuck: null where temp < -80 (where origin = 'JFK')"));
        assert_eq!(columns["humid"].input_fields[0].transformations[0].subtype, "IDENTITY");
    }

    #[test]
    fn every_column_of_every_table_has_an_origin_that_exists() {
        let spec = flights();
        for source in spec.sources.keys() {
            let (raw, cleaned) = (raw(&spec, source), cleaned(&spec, source));
            for column in cleaned.values().flat_map(|column| &column.input_fields) {
                let declared = raw.contains_key(&column.field) || column.field.starts_with(system::PREFIX);
                assert!(declared, "{column:?}");
            }
        }
        for (name, column) in features(&spec) {
            assert!(!column.input_fields.is_empty(), "{name} comes from nowhere");
            for field in column.input_fields {
                let source: SourceName = field.name.rsplit('/').next().unwrap().parse().unwrap();
                let known = spec.sources[&source].columns.contains_key(&field.field);
                assert!(known || field.field == system::KNOWN_AT, "{name}: {field:?}");
            }
        }
    }
}
