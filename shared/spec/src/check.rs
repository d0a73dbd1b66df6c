//! What the types cannot say: names that must exist, numbers that must lie in range, expressions that must
//! have the right type.

use crate::cleaning::Decision;
use crate::error::SpecProblem;
use crate::model::{Definition, Input, Source, Spec};
use crate::parse::nearest;
use crate::rule::{Check, Rule, Scope};
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_expr::Compiled;
use tidemill_types::{Millis, SourceName, columns};

struct Problems(Vec<SpecProblem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>, mend: Option<String>) {
        self.0.push(SpecProblem { path: path.into(), line: None, column: None, message: message.into(), mend });
    }

    fn require(&mut self, holds: bool, path: &str, message: &str) {
        if !holds {
            self.add(path, message, None);
        }
    }

    fn name<'a>(&mut self, path: &str, what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> bool {
        if known.clone().any(|k| k == name) {
            return true;
        }
        let mend =
            nearest(name, known.clone()).or_else(|| Some(format!("known: {}", known.collect::<Vec<_>>().join(", "))));
        self.add(path, format!("there is no {what} \"{name}\""), mend);
        false
    }

    fn expr(&mut self, path: &str, text: &str, schema: &Schema, accepts: impl Fn(&DataType) -> bool, wanted: &str) {
        match Compiled::new(text, schema) {
            Err(error) => self.add(path, error.to_string(), None),
            Ok(compiled) if accepts(compiled.data_type()) => {}
            Ok(compiled) => {
                self.add(path, format!("\"{text}\" is {}, not {wanted}", compiled.data_type()), None);
            }
        }
    }
}

fn is_boolean(kind: &DataType) -> bool {
    matches!(kind, DataType::Boolean | DataType::Null)
}

fn is_instant(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(_, _))
}

fn is_numeric(kind: &DataType) -> bool {
    kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Null)
}

impl Spec {
    /// Everything that does not make sense, in the order of the file's sections.
    pub(crate) fn problems(&self) -> Vec<SpecProblem> {
        let mut found = Problems(Vec::new());
        found.require(self.tidemill == 1, "tidemill", "this version reads spec format 1");
        found.require(!self.problem.owners.is_empty(), "problem.owners", "at least one owner must be named");
        found.require(self.kpi.budget > 0.0 && self.kpi.budget <= 1.0, "kpi.budget", "must lie in (0, 1]");
        if let Some(gate) = self.evaluate.gates.quality {
            let path = "evaluate.gates.quality.at_least";
            found.require((0.0..=100.0).contains(&gate.at_least), path, "must lie in [0, 100]");
        }
        found.expr("kpi.value", &self.kpi.value, &kpi_schema(), is_numeric, "a number");
        for (name, source) in &self.sources {
            check_source(&mut found, name, source);
        }
        for (name, decisions) in &self.cleaning {
            let path = format!("cleaning.{name}");
            if found.name(&path, "source", name.as_str(), self.sources.keys().map(SourceName::as_str)) {
                check_decisions(&mut found, &path, &self.sources[name], decisions);
            }
        }
        for (name, rules) in &self.quality {
            let path = format!("quality.{name}");
            if found.name(&path, "source", name.as_str(), self.sources.keys().map(SourceName::as_str)) {
                for rule in rules {
                    check_rule(&mut found, &path, &self.sources, &self.sources[name], rule);
                }
            }
        }
        self.check_features(&mut found);
        self.check_learning(&mut found);
        for (path, message, mend) in crate::share::problems(self) {
            found.add(format!("share.{path}"), message, mend);
        }
        found.0.extend(self.retention.problems(&self.sources.keys().map(SourceName::as_str).collect()));
        found.0
    }

    fn check_features(&self, found: &mut Problems) {
        let sources = || self.sources.keys().map(SourceName::as_str);
        let features = &self.features;
        let entity_known = found.name("features.entity.source", "source", features.entity.source.as_str(), sources());
        let label_known = found.name("features.label.source", "source", features.label.source.as_str(), sources());
        if !entity_known || !label_known {
            return;
        }
        let entity = &self.sources[&features.entity.source];
        let entity_schema = entity.declared_schema();
        found.name("features.entity.key", "column", &features.entity.key, entity.columns.keys().map(String::as_str));
        found.expr("features.as_of", &features.as_of, &entity_schema, is_instant, "an instant");
        let outcome = &self.sources[&features.label.source];
        found.name("features.label.key", "column", &features.label.key, outcome.columns.keys().map(String::as_str));
        found.expr("features.label.value", &features.label.value, &outcome.declared_schema(), is_boolean, "a boolean");
        found.require(!features.define.is_empty(), "features.define", "at least one feature must be defined");

        let mut fields: Vec<Field> = entity_schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.push(Field::new("as_of", Millis::arrow_type(), false));
        for (name, input) in &features.inputs {
            let path = format!("features.inputs.{name}");
            if found.name(&format!("{path}.from"), "source", input.from.as_str(), sources()) {
                self.check_input(found, &path, input, &entity_schema);
                fields.extend(self.output_fields(name, input));
            }
        }
        let schema = Schema::new(fields);
        for (name, definition) in &features.define {
            let path = format!("features.define.{name}");
            let category = matches!(definition, Definition::Full(f) if f.kind == crate::FeatureKind::Category);
            if category {
                found.expr(&path, definition.expr(), &schema, |k| *k == DataType::Utf8, "a text");
            } else {
                found.expr(
                    &path,
                    definition.expr(),
                    &schema,
                    is_numeric,
                    "a number (write {expr: …, kind: category} for a text)",
                );
            }
        }
    }

    fn check_input(&self, found: &mut Problems, path: &str, input: &Input, entity: &Schema) {
        let source = &self.sources[&input.from];
        let columns = || source.columns.keys().map(String::as_str);
        for key in &input.by {
            if found.name(&format!("{path}.by"), "column", key, columns()) {
                let entity_columns = entity.fields().iter().map(|f| f.name().as_str());
                found.name(&format!("{path}.by"), "entity column", key, entity_columns);
            }
        }
        if let Some(on) = &input.on {
            let known = found.name(&format!("{path}.on"), "column", on, columns());
            let instant = known && is_instant(&source.columns[on].kind.arrow());
            found.require(instant || !known, &format!("{path}.on"), "the column must hold instants");
        }
        if let Some(anchor) = &input.anchor {
            found.expr(&format!("{path}.anchor"), anchor, entity, is_instant, "an instant");
        }
        let schema = source.declared_schema();
        if let Some(filter) = &input.filter {
            found.expr(&format!("{path}.where"), filter, &schema, is_boolean, "a boolean");
        }
        let window = input.window.is_some() && !input.values.is_empty() && input.last.is_empty();
        let last = input.window.is_none() && input.values.is_empty() && !input.last.is_empty();
        found.require(window || last, path, "an input has either window and values, or last");
        for column in input.last.values() {
            found.name(&format!("{path}.last"), "column", column, columns());
        }
    }

    fn output_fields(&self, name: &str, input: &Input) -> Vec<Field> {
        let source = &self.sources[&input.from];
        let mut fields: Vec<Field> = input
            .values
            .iter()
            .map(|(output, text)| {
                let inner = text.split_once('(').map_or("", |(_, rest)| rest.trim_end().trim_end_matches(')'));
                let is_text = text.trim_start().starts_with("last(")
                    && Compiled::new(inner, &source.declared_schema()).is_ok_and(|c| *c.data_type() == DataType::Utf8);
                let kind = if is_text { DataType::Utf8 } else { DataType::Float64 };
                Field::new(format!("{name}.{output}"), kind, true)
            })
            .collect();
        for (output, column) in &input.last {
            let kind = source.columns.get(column).map(|c| c.kind.arrow());
            let kind = if kind == Some(DataType::Utf8) { DataType::Utf8 } else { DataType::Float64 };
            fields.push(Field::new(format!("{name}.{output}"), kind, true));
        }
        if !input.last.is_empty() {
            fields.push(Field::new(format!("{name}.age_s"), DataType::Float64, true));
        }
        fields
    }

    fn check_learning(&self, found: &mut Problems) {
        let features = || self.features.define.keys().map(String::as_str);
        found.require(
            self.split.embargo >= self.features.label.matures_within,
            "split.embargo",
            "must be at least features.label.matures_within, or labels of the training rows reach into the test",
        );
        found.require(self.split.test.millis() > 0, "split.test", "must be longer than zero");
        found.require(self.split.validation.millis() > 0, "split.validation", "must be longer than zero");
        if let (Some(exclude), Some(entity)) = (&self.train.exclude, self.sources.get(&self.features.entity.source)) {
            found.expr("train.exclude.where", &exclude.filter, &entity.declared_schema(), is_boolean, "a boolean");
        }
        found.require(
            !self.train.baselines.rule.rates_by.is_empty(),
            "train.baselines.rule.rates_by",
            "no feature is a category: name the one or two whose rates a spreadsheet would look up",
        );
        for name in &self.train.baselines.rule.rates_by {
            found.name("train.baselines.rule.rates_by", "feature", name, features());
        }
        found.require(!self.train.candidates.is_empty(), "train.candidates", "at least one learner must be named");
        found.require((1..=200).contains(&self.train.search.trials), "train.search.trials", "must lie in 1 to 200");
        for name in &self.evaluate.slices {
            found.name("evaluate.slices", "feature", name, features());
        }
        let drift = &self.monitor.drift;
        found.require(drift.fdr > 0.0 && drift.fdr < 1.0, "monitor.drift.fdr", "must lie in (0, 1)");
        for text in &self.retrain.when {
            found.expr("retrain.when", text, &trigger_schema(), is_boolean, "a boolean");
        }
    }
}

/// Columns a KPI expression sees.
#[must_use]
pub fn kpi_schema() -> Schema {
    Schema::new(vec![
        Field::new("alerted", DataType::Boolean, false),
        Field::new("outcome", DataType::Boolean, false),
        Field::new("score", DataType::Float64, false),
    ])
}

/// Columns a retraining rule sees.
#[must_use]
pub fn trigger_schema() -> Schema {
    let names = ["auc", "auc_reference", "auc_drop", "brier", "ece", "kpi", "rows", "drifted_share"];
    Schema::new(names.map(|n| Field::new(n, DataType::Float64, true)).to_vec())
}

fn check_source(found: &mut Problems, name: &SourceName, source: &Source) {
    let path = format!("sources.{name}");
    let columns = || source.columns.keys().map(String::as_str);
    found.require(!source.key.is_empty(), &format!("{path}.key"), "at least one key column must be named");
    for key in &source.key {
        found.name(&format!("{path}.key"), "column", key, columns());
    }
    let instants = [("event_time", Some(&source.event_time)), ("known_at", source.known_at.as_ref())];
    for (what, column) in instants.into_iter().filter_map(|(what, c)| c.map(|c| (what, c))) {
        let at = format!("{path}.{what}");
        if found.name(&at, "column", column, columns()) {
            let declared = &source.columns[column];
            found.require(is_instant(&declared.kind.arrow()), &at, "the column must be of type timestamp");
            found.require(!declared.nullable, &at, "the column must not be nullable");
        }
    }
    for column in source.columns.keys() {
        let reserved = column.starts_with(columns::PREFIX) || column == "as_of";
        found.require(!reserved, &format!("{path}.columns.{column}"), "this name is reserved");
    }
    for column in &source.segments {
        found.name(&format!("{path}.segments"), "column", column, columns());
    }
    for (message, mend) in crate::segments::problems(source) {
        found.add(format!("{path}.segments"), message, Some(mend));
    }
    for (key, message) in crate::about::problems(source) {
        found.add(format!("{path}.{key}"), message, None);
    }
    let more = crate::check_pii::problems(source);
    for (below, message, mend) in crate::check_origin::problems(source).into_iter().chain(more) {
        found.add(format!("{path}.{below}"), message, mend);
    }
}

fn check_decisions(found: &mut Problems, path: &str, source: &Source, decisions: &[Decision]) {
    let mut seen = BTreeSet::new();
    for decision in decisions {
        let path = format!("{path}.{}", decision.id);
        found.require(seen.insert(&decision.id), &path, "another decision has this id");
        for (message, mend) in decision.problems(source) {
            found.add(&path, message, mend);
        }
    }
}

fn check_rule(found: &mut Problems, path: &str, sources: &BTreeMap<SourceName, Source>, source: &Source, rule: &Rule) {
    let path = format!("{path}.{}", rule.id);
    for column in rule.columns() {
        found.name(&path, "column", column, source.columns.keys().map(String::as_str));
    }
    for text in rule.conditions() {
        found.expr(&path, text, &source.declared_schema(), is_boolean, "a boolean");
    }
    let share = rule.mostly.is_none_or(|share| share > 0.0 && share <= 1.0);
    found.require(share, &path, "mostly is a share: it must lie in (0, 1]");
    let by_row = rule.check.kind().scope != Scope::Commit;
    found.require(rule.mostly.is_none() || by_row, &path, "mostly is for rules on rows; this one judges the commit");
    let Check::Refers(reference) = &rule.check else {
        return;
    };
    let Some((other, column)) = reference.to.split_once('.') else {
        found.require(false, &path, "to is written source.column");
        return;
    };
    if found.name(&path, "source", other, sources.keys().map(SourceName::as_str)) {
        let columns = sources.iter().filter(|(name, _)| name.as_str() == other).flat_map(|(_, s)| s.columns.keys());
        found.name(&path, "column", column, columns.map(String::as_str));
    }
}
