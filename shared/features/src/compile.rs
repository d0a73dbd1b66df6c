//! From the spec to a [`Plan`].

use crate::aggregate::Aggregate;
use crate::error::{FeatureError, definition};
use crate::key::comparable;
use crate::plan::{ColumnPlan, FeaturePlan, GroupPlan, InputPlan, Keep, Plan, Shape, WindowOutput};
use crate::value::ValueKind;
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidemill_expr::Compiled;
use tidemill_spec::{FeatureKind, Input, Source, Spec};
use tidemill_types::{Digest, Millis, SourceName};

/// Version of the engine's semantics; part of the digest, so that old state is not read with new eyes.
const SEMANTICS: u32 = 1;

pub(crate) fn compile(spec: &Spec) -> Result<Plan, FeatureError> {
    let set = &spec.features;
    let entity_source = source(spec, &set.entity.source, "features.entity.source")?;
    let entity = nullable(&entity_source.declared_schema());
    let as_of = expression("features.as_of", &set.as_of, &entity)?;
    instant("features.as_of", &as_of)?;
    let key = field("features.entity.key", &entity, &set.entity.key)?;
    if !comparable(key.data_type(), key.data_type()) {
        return Err(definition("features.entity.key", format!("type {} cannot be a key", key.data_type())));
    }
    let mut building = Building { spec, entity: &entity, key_lists: vec![], groups: vec![], outputs: vec![] };
    let mut inputs = Vec::with_capacity(set.inputs.len());
    for (name, input) in &set.inputs {
        inputs.push(building.input(name, input)?);
    }
    let mut row_fields: Vec<Field> = entity.fields().iter().map(|f| f.as_ref().clone()).collect();
    row_fields.push(Field::new("as_of", Millis::arrow_type(), false));
    row_fields.append(&mut building.outputs);
    let mut seen = BTreeSet::new();
    if let Some(twice) = row_fields.iter().find(|f| !seen.insert(f.name().as_str())) {
        return Err(definition("features", format!("the name {} stands for two columns", twice.name())));
    }
    let row_schema = Schema::new(row_fields);
    let mut features = Vec::with_capacity(set.define.len());
    for (name, defined) in &set.define {
        features.push(feature(name, defined.expr(), defined.kind(), &row_schema)?);
    }
    let stored = |kind| if kind == FeatureKind::Number { DataType::Float64 } else { DataType::Utf8 };
    let fields: Vec<_> = features.iter().map(|f| Field::new(&f.name, stored(f.kind), true)).collect();
    let sources: BTreeSet<SourceName> =
        building.groups.iter().map(|g| g.source.clone()).chain([set.entity.source.clone()]).collect();
    let digest = digest(spec, &sources)?;
    Ok(Plan {
        sources: sources.into_iter().collect(),
        entity_source: set.entity.source.clone(),
        entity_key: set.entity.key.clone(),
        as_of,
        lookback: set.lookback.millis(),
        key_lists: building.key_lists,
        groups: building.groups,
        inputs,
        row_schema: Arc::new(row_schema),
        features,
        schema: Arc::new(Schema::new(fields)),
        digest,
        entity_schema: Arc::new(entity),
    })
}

struct Building<'a> {
    spec: &'a Spec,
    entity: &'a Schema,
    key_lists: Vec<Vec<String>>,
    groups: Vec<GroupPlan>,
    /// Fields of all outputs so far.
    outputs: Vec<Field>,
}

impl Building<'_> {
    fn input(&mut self, name: &str, input: &Input) -> Result<InputPlan, FeatureError> {
        let place = format!("features.inputs.{name}");
        let rows = nullable(&source(self.spec, &input.from, &format!("{place}.from"))?.declared_schema());
        let group = self.group(&place, input, &rows)?;
        let shape = match (input.window, input.last.is_empty()) {
            (Some(_), true) => self.window(name, &place, input, &rows, group)?,
            (None, false) => self.last(name, &place, input, &rows, group)?,
            _ => return Err(definition(place, "give either window with values, or last")),
        };
        Ok(InputPlan { group, shape })
    }

    /// The group that an input reads, made when there is none yet.
    fn group(&mut self, place: &str, input: &Input, rows: &Schema) -> Result<usize, FeatureError> {
        for name in &input.by {
            let mine = field(&format!("{place}.by"), rows, name)?;
            let theirs = field(&format!("{place}.by"), self.entity, name)?;
            if !comparable(mine.data_type(), theirs.data_type()) {
                let message =
                    format!("column {name} is {} here and {} in the entity row", mine.data_type(), theirs.data_type());
                return Err(definition(format!("{place}.by"), message));
            }
        }
        let keys = position_or_push(&mut self.key_lists, &input.by);
        let same = |g: &GroupPlan| {
            g.source == input.from && g.keys == keys && g.filter_text == input.filter && g.on == input.on
        };
        if let Some(found) = self.groups.iter().position(same) {
            return Ok(found);
        }
        let filter =
            input.filter.as_deref().map(|text| predicate(&format!("{place}.where"), text, rows)).transpose()?;
        if let Some(on) = &input.on {
            let found = field(&format!("{place}.on"), rows, on)?;
            if !matches!(found.data_type(), DataType::Timestamp(..)) {
                return Err(definition(
                    format!("{place}.on"),
                    format!("column {on} is {}, not a timestamp", found.data_type()),
                ));
            }
        }
        self.groups.push(GroupPlan {
            source: input.from.clone(),
            keys,
            filter_text: input.filter.clone(),
            filter,
            on: input.on.clone(),
            columns: vec![],
            keeps: vec![],
        });
        Ok(self.groups.len() - 1)
    }

    fn window(
        &mut self,
        name: &str,
        place: &str,
        input: &Input,
        rows: &Schema,
        group: usize,
    ) -> Result<Shape, FeatureError> {
        if input.lag != 0 || input.within.is_some() {
            return Err(definition(place, "lag and within belong to last, not to window"));
        }
        let length = input.window.unwrap_or_default().millis();
        if length == 0 || input.values.is_empty() {
            return Err(definition(place, "a window needs a length above zero and at least one of values"));
        }
        let anchor_place = format!("{place}.anchor");
        let anchor = input.anchor.as_deref().map(|text| expression(&anchor_place, text, self.entity)).transpose()?;
        if let Some(anchor) = &anchor {
            instant(&anchor_place, anchor)?;
        }
        // An anchor may lie up to one lookback before the instant of the read; see `Engine::evict`.
        let slack = if anchor.is_some() { self.spec.features.lookback.millis() } else { 0 };
        self.keep(group, Keep::Window { reach: length.saturating_add(slack) });
        let mut outputs = Vec::with_capacity(input.values.len());
        for (output, text) in &input.values {
            let place = format!("{place}.values.{output}");
            let (aggregate, argument) = Aggregate::parse(text).map_err(|message| definition(&place, message))?;
            let (column, kind) = match argument {
                Some(argument) => self.column(group, &place, argument, rows)?,
                None => (0, ValueKind::Number),
            };
            let kind = aggregate.output(kind).map_err(|message| definition(&place, message))?;
            self.output(name, output, kind);
            outputs.push(WindowOutput { aggregate, column, kind });
        }
        Ok(Shape::Window { length, ahead: input.ahead.millis(), anchor, outputs })
    }

    fn last(
        &mut self,
        name: &str,
        place: &str,
        input: &Input,
        rows: &Schema,
        group: usize,
    ) -> Result<Shape, FeatureError> {
        if !input.values.is_empty() || input.on.is_some() || input.anchor.is_some() || input.ahead.millis() != 0 {
            return Err(definition(place, "values, on, anchor and ahead belong to window, not to last"));
        }
        if input.last.contains_key("age_s") {
            return Err(definition(
                format!("{place}.last.age_s"),
                "age_s is offered by every last; choose another name",
            ));
        }
        let within = input.within.map(tidemill_spec::Span::millis);
        let lag = usize::try_from(input.lag).unwrap_or(usize::MAX);
        self.keep(group, Keep::Last { lag, within });
        let mut columns = Vec::with_capacity(input.last.len());
        for (output, text) in &input.last {
            let (column, kind) = self.column(group, &format!("{place}.last.{output}"), text, rows)?;
            self.output(name, output, kind);
            columns.push(column);
        }
        self.output(name, "age_s", ValueKind::Number);
        Ok(Shape::Last { lag, within, columns })
    }

    fn keep(&mut self, group: usize, keep: Keep) {
        let keeps = &mut self.groups[group].keeps;
        if !keeps.contains(&keep) {
            keeps.push(keep);
        }
    }

    fn output(&mut self, input: &str, output: &str, kind: ValueKind) {
        self.outputs.push(Field::new(format!("{input}.{output}"), kind.arrow(), true));
    }

    /// The stored column of an expression, shared by all who write it alike.
    fn column(
        &mut self,
        group: usize,
        place: &str,
        text: &str,
        rows: &Schema,
    ) -> Result<(usize, ValueKind), FeatureError> {
        let columns = &mut self.groups[group].columns;
        if let Some(found) = columns.iter().position(|c| c.text == text) {
            return Ok((found, columns[found].kind));
        }
        let expr = expression(place, text, rows)?;
        let kind = ValueKind::of(expr.data_type()).map_err(|message| definition(place, message))?;
        columns.push(ColumnPlan { text: text.to_owned(), expr, kind });
        Ok((columns.len() - 1, kind))
    }
}

fn feature(name: &str, text: &str, kind: FeatureKind, rows: &Schema) -> Result<FeaturePlan, FeatureError> {
    let place = format!("features.define.{name}");
    let expr = expression(&place, text, rows)?;
    let found = ValueKind::of(expr.data_type()).map_err(|message| definition(&place, message))?;
    let fits = match kind {
        FeatureKind::Number => found == ValueKind::Number,
        FeatureKind::Category => found != ValueKind::Instant,
    };
    if fits {
        return Ok(FeaturePlan { name: name.to_owned(), kind, expr });
    }
    let mend = match found {
        ValueKind::Text => "texts need {expr: …, kind: category}",
        _ => "an instant is no feature; take a part of it, such as hour(…), or a difference in minutes(…)",
    };
    Err(definition(place, format!("the expression has type {}: {mend}", expr.data_type())))
}

fn expression(place: &str, text: &str, schema: &Schema) -> Result<Compiled, FeatureError> {
    Compiled::new(text, schema).map_err(|source| FeatureError::Expression { place: place.to_owned(), source })
}

fn predicate(place: &str, text: &str, schema: &Schema) -> Result<Compiled, FeatureError> {
    let compiled = expression(place, text, schema)?;
    match compiled.data_type() {
        DataType::Boolean => Ok(compiled),
        other => Err(definition(place, format!("a condition is needed, this has type {other}"))),
    }
}

fn instant(place: &str, compiled: &Compiled) -> Result<(), FeatureError> {
    match compiled.data_type() {
        DataType::Timestamp(..) => Ok(()),
        other => Err(definition(place, format!("an instant is needed, this has type {other}"))),
    }
}

fn source<'a>(spec: &'a Spec, name: &SourceName, place: &str) -> Result<&'a Source, FeatureError> {
    spec.sources.get(name).ok_or_else(|| definition(place, format!("there is no source \"{name}\"")))
}

fn field<'a>(place: &str, schema: &'a Schema, name: &str) -> Result<&'a Field, FeatureError> {
    schema.field_with_name(name).map_err(|_| definition(place, format!("there is no column {name}")))
}

fn nullable(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>())
}

fn position_or_push(lists: &mut Vec<Vec<String>>, list: &[String]) -> usize {
    if let Some(found) = lists.iter().position(|l| l == list) {
        return found;
    }
    lists.push(list.to_vec());
    lists.len() - 1
}

/// Digest of the canonical text: keys sorted, defaults filled in, the label left out because it is not computed here.
fn digest(spec: &Spec, sources: &BTreeSet<SourceName>) -> Result<Digest, FeatureError> {
    let set = &spec.features;
    let read: BTreeMap<_, _> = spec.sources.iter().filter(|(name, _)| sources.contains(*name)).collect();
    let columns: BTreeMap<_, _> = read.iter().map(|(name, s)| (name.as_str(), (&s.columns, &s.known_at))).collect();
    let decisions: BTreeMap<_, _> = spec.cleaning.iter().filter(|(name, _)| sources.contains(*name)).collect();
    let mut canonical = json!({
        "semantics": SEMANTICS,
        "entity": set.entity,
        "as_of": set.as_of,
        "lookback": set.lookback,
        "inputs": set.inputs,
        "define": set.define,
        "sources": columns,
    });
    // A project without decisions keeps the digest that it has.
    if let (false, Some(canonical)) = (decisions.is_empty(), canonical.as_object_mut()) {
        canonical.insert("cleaning".to_owned(), json!(decisions));
    }
    let text = serde_json::to_vec(&canonical).map_err(|e| definition("features", e.to_string()))?;
    Ok(Digest::of(&text))
}
