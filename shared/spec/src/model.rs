//! The spec as types. Field documentation is the reference manual of the format.

use crate::{ColumnType, Decision, Origin, Retention, Rule, Share, Span};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_conform::{ColumnDef, ConformSchema};
use tidemill_privacy::Declaration;
use tidemill_types::{DeploymentName, Millis, ProjectName, SourceName, columns};

/// A whole project, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Version of the format: 1.
    pub tidemill: u32,
    /// Name of the project; part of every subject, table path and model name.
    pub project: ProjectName,
    /// What is decided, about what, by whom.
    pub problem: Problem,
    /// The business measure; absent: right alerts less wrong ones, with a tenth of the predictions alerted.
    #[serde(default)]
    pub kpi: Kpi,
    /// Where data events come from, by name.
    pub sources: BTreeMap<SourceName, Source>,
    /// What is mended in rows before rules judge them, by source, in the order given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cleaning: BTreeMap<SourceName, Vec<Decision>>,
    /// Row and batch rules by source.
    #[serde(default)]
    pub quality: BTreeMap<SourceName, Vec<Rule>>,
    /// The feature set.
    pub features: FeatureSpec,
    /// How rows are divided in time.
    #[serde(default)]
    pub split: Split,
    /// What is trained.
    #[serde(default)]
    pub train: Train,
    /// How candidates are judged.
    #[serde(default)]
    pub evaluate: Evaluate,
    /// Where predictions are offered.
    pub serve: Serve,
    /// What is watched.
    #[serde(default)]
    pub monitor: Monitor,
    /// When to train again; absent: every month.
    #[serde(default)]
    pub retrain: Retrain,
    /// How long data are kept; absent: rows for good, superseded versions for a week.
    #[serde(default, skip_serializing_if = "Retention::is_silent")]
    pub retention: Retention,
    /// What is shared with partners, by name; absent: nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub share: BTreeMap<String, Share>,
}

/// The problem statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The decision that a prediction serves.
    pub decision: String,
    /// What one prediction is about.
    #[serde(default = "defaults::unit")]
    pub unit: String,
    /// Kind of task; only `binary` for now.
    #[serde(default)]
    pub task: Task,
    /// What is done with a positive prediction.
    #[serde(default = "defaults::action")]
    pub action: String,
    /// How long before the outcome the decision falls.
    #[serde(default)]
    pub horizon: Span,
    /// Who answers for it: role → person or team.
    pub owners: BTreeMap<String, String>,
}

/// Kind of prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Yes or no, answered by a probability.
    #[default]
    Binary,
}

/// The business measure: the sum of `value` over predictions whose outcome is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kpi {
    /// Name in reports.
    pub name: String,
    /// Row expression over `alerted` (boolean), `outcome` (boolean) and `score` (double).
    pub value: String,
    /// Unit in reports.
    pub unit: String,
    /// Largest share of predictions that may be acted on, in (0, 1].
    pub budget: f64,
}

impl Spec {
    /// Decisions about the rows of a source.
    #[must_use]
    pub fn decisions(&self, source: &SourceName) -> &[Decision] {
        self.cleaning.get(source).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Default for Kpi {
    fn default() -> Self {
        Self {
            name: "right_less_wrong_alerts".to_owned(),
            value: "case when alerted and outcome then 1 when alerted then -1 else 0 end".to_owned(),
            unit: "alerts".to_owned(),
            budget: 0.1,
        }
    }
}

/// One source of data events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Columns that identify a row.
    pub key: Vec<String>,
    /// Column with the instant at which the event happened.
    pub event_time: String,
    /// Column with the instant at which the event became known; absent: arrival at the bus.
    #[serde(default)]
    pub known_at: Option<String>,
    /// Longest silence, in knowledge time, that counts as fresh.
    #[serde(default)]
    pub fresh_within: Option<Span>,
    /// What the source is for.
    #[serde(default)]
    pub role: SourceRole,
    /// Who answers for the source: a person or team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// How often its owner brings new rows; nothing is checked against it, `fresh_within` is the promise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cadence: Option<Span>,
    /// Who may read it, and how one gets access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
    /// Under which licence the data may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// What the source is, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where ingestion fetches rows; absent: producers publish them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Origin>,
    /// Columns of few values by which rows are profiled apart, as well as by time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    /// Declared columns; rows must have exactly these.
    pub columns: BTreeMap<String, Column>,
}

/// What a source is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceRole {
    /// Facts that features are made of.
    #[default]
    Input,
    /// Facts that tell how a prediction turned out (and that may also feed features once known).
    Outcome,
}

/// One declared column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Type of the values.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether values may be absent.
    #[serde(default)]
    pub nullable: bool,
    /// Which personal data the values are, or `none`; absent: nobody has said, and validation looks at them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pii: Option<Declaration>,
    /// Whether the values are an attribute that law protects, such as sex or age.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
}

impl Source {
    /// Declared columns only, in name order.
    #[must_use]
    pub fn declared_schema(&self) -> Schema {
        let field = |(name, c): (&String, &Column)| Field::new(name, c.kind.arrow(), c.nullable);
        Schema::new(self.columns.iter().map(field).collect::<Vec<_>>())
    }

    /// What conforming needs to know of the source.
    #[must_use]
    pub fn conform_schema(&self) -> ConformSchema {
        let column = |(name, c): (&String, &Column)| ColumnDef {
            name: name.clone(),
            data_type: c.kind.arrow(),
            nullable: c.nullable,
            values: c.values(),
        };
        ConformSchema {
            columns: self.columns.iter().map(column).collect(),
            event_time: self.event_time.clone(),
            known_at: self.known_at.clone(),
        }
    }

    /// Declared columns followed by the system columns, as stored in `raw/` and `clean/` tables.
    #[must_use]
    pub fn table_schema(&self) -> SchemaRef {
        let mut fields: Vec<_> = self.declared_schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.push(Field::new(columns::SEQ, DataType::Int64, false));
        fields.push(Field::new(columns::ROW, DataType::Int32, false));
        fields.push(Field::new(columns::EVENT_ID, DataType::Utf8, false));
        fields.push(Field::new(columns::KNOWN_AT, Millis::arrow_type(), false));
        Arc::new(Schema::new(fields))
    }
}

/// The feature set: entity rows, stateful inputs, and expressions over both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// Name of the set.
    pub set: String,
    /// Whose rows predictions are about.
    pub entity: Entity,
    /// Instant of the prediction: an expression over the entity row.
    pub as_of: String,
    /// How far back online reads may ask.
    #[serde(default = "defaults::lookback")]
    pub lookback: Span,
    /// What is to be predicted.
    pub label: Label,
    /// Stateful operators by name; `name.output` can be used in expressions.
    #[serde(default)]
    pub inputs: BTreeMap<String, Input>,
    /// Features by name, in the order of their names.
    pub define: BTreeMap<String, Definition>,
}

/// The source whose rows are the units of prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    /// Source with one row per entity.
    pub source: SourceName,
    /// Its key column.
    pub key: String,
}

/// The label, joined from an outcome source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Name of the label.
    pub name: String,
    /// Source of outcomes.
    pub source: SourceName,
    /// Column of that source which equals the entity key.
    pub key: String,
    /// Boolean expression over the outcome row.
    pub value: String,
    /// Longest usual wait from prediction to outcome; the embargo is at least this.
    pub matures_within: Span,
}

/// A stateful operator over one source. Either `window` with `values`, or `last`.
///
/// * `window`: aggregates over the rows with equal `by` values whose `on` time lies in
///   `(anchor − window, anchor + ahead]` and which were known by the instant of the read.
/// * `last`: columns of the newest row (by knowledge time) with equal `by` values known by the instant of
///   the read, or of the `lag`-th before it; also offers `age_s`, seconds since its knowledge time.
///   Older than `within`: null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Source whose rows are consumed.
    pub from: SourceName,
    /// Key columns; the entity row has columns of the same names.
    pub by: Vec<String>,
    /// Only rows for which this holds.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Length of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
    /// Time column that the window is laid over; absent: knowledge time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Expression over the entity row at which the window ends; absent: the instant of the read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// How far the window reaches beyond its anchor.
    #[serde(default)]
    pub ahead: Span,
    /// Aggregates by output name: `count()`, `count(x)`, `sum(x)`, `mean(x)`, `min(x)`, `max(x)`, `std(x)`
    /// (n − 1), `last(x)`, `distinct(x)`; `mean` of a boolean is a rate.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Columns of the newest row by output name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub last: BTreeMap<String, String>,
    /// 0 (default): the newest row; k: the k-th before it.
    #[serde(default)]
    pub lag: u32,
    /// Age at which a looked-up row expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}

/// A feature: an expression over the entity row, `as_of` and input outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Definition {
    /// Only an expression; the kind follows from its type.
    Expr(String),
    /// An expression with its kind.
    Full(FullDefinition),
}

/// A feature with its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullDefinition {
    /// The expression.
    pub expr: String,
    /// How models see it.
    pub kind: FeatureKind,
}

/// How models see a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// A number, stored as `Float64`.
    Number,
    /// One of a set of texts, stored as `Utf8`.
    Category,
}

impl Definition {
    /// The expression.
    #[must_use]
    pub fn expr(&self) -> &str {
        match self {
            Self::Expr(expr) => expr,
            Self::Full(full) => &full.expr,
        }
    }

    /// The kind, numbers unless said otherwise.
    #[must_use]
    pub fn kind(&self) -> FeatureKind {
        match self {
            Self::Expr(_) => FeatureKind::Number,
            Self::Full(full) => full.kind,
        }
    }
}

/// Division of rows in time: training, embargo, validation, embargo, sealed test (the newest).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Split {
    /// Only `time` for now.
    pub scheme: SplitScheme,
    /// Length of the validation window.
    pub validation: Span,
    /// Length of the sealed test window.
    pub test: Span,
    /// Gap between windows; at least `features.label.matures_within`, which it is when absent.
    pub embargo: Span,
}

impl Default for Split {
    fn default() -> Self {
        let week = Span::hours(24 * 7);
        Self { scheme: SplitScheme::Time, validation: week, test: week, embargo: Self::UNWRITTEN }
    }
}

impl Split {
    /// Stands for an embargo that the text does not state, until [`Spec::parse`] has filled it in.
    pub(crate) const UNWRITTEN: Span = Span::from_millis(i64::MAX);
}

/// How rows are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitScheme {
    /// By the instant of the prediction.
    Time,
}

/// What is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Train {
    /// Rows left out of training, with the reason.
    pub exclude: Option<Exclude>,
    /// Baselines; they cannot be switched off, only described.
    pub baselines: Baselines,
    /// Learners to try.
    pub candidates: Vec<LearnerName>,
    /// Search over parameters.
    pub search: Search,
    /// When a column gives the outcome away.
    pub leak_checks: LeakChecks,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            exclude: None,
            baselines: Baselines::default(),
            candidates: vec![LearnerName::Logistic, LearnerName::GradientBoosting],
            search: Search::default(),
            leak_checks: LeakChecks::default(),
        }
    }
}

/// Rows left out of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclude {
    /// Boolean expression over the entity row.
    #[serde(rename = "where")]
    pub filter: String,
    /// Why, for the card.
    pub reason: String,
}

/// The baselines every candidate is compared with, beside the majority class and a default logistic model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Baselines {
    /// The business rule as a table of rates.
    pub rule: RuleBaseline,
}

/// Observed rates by a few features: what a spreadsheet would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleBaseline {
    /// Features that select the rate, from the most to the least important; absent: the first two categories.
    pub rates_by: Vec<String>,
}

/// Learners that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearnerName {
    /// L2-regularised logistic regression.
    Logistic,
    /// Gradient-boosted trees.
    GradientBoosting,
}

/// Search over parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// Only `random` for now.
    pub method: SearchMethod,
    /// Trials per candidate learner, 1 to 200; the first is the learner's default.
    pub trials: u32,
    /// Seed of everything random in training.
    pub seed: u64,
}

impl Default for Search {
    fn default() -> Self {
        Self { method: SearchMethod::Random, trials: 4, seed: 7 }
    }
}

/// How parameters are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchMethod {
    /// Independent draws.
    Random,
}

/// When a single column gives the outcome away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeakChecks {
    /// A column alone separates the classes better than this.
    pub auc_above: f64,
    /// A column being null (or having one value) means one outcome in more than this share of cases.
    pub purity_above: f64,
    /// Rows needed before either counts.
    pub min_support: u64,
}

impl Default for LeakChecks {
    fn default() -> Self {
        Self { auc_above: 0.95, purity_above: 0.99, min_support: 30 }
    }
}

/// How candidates are judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluate {
    /// Features by whose values quality is shown.
    pub slices: Vec<String>,
    /// Rows a slice needs to be shown.
    pub min_support: u64,
    /// What a candidate must pass.
    pub gates: Gates,
}

impl Default for Evaluate {
    fn default() -> Self {
        Self { slices: Vec::new(), min_support: 30, gates: Gates::default() }
    }
}

/// Gates; all are on confidence bounds, never on points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// Better than the majority class and the rule: lower bound of the paired difference above `by`.
    pub beats_baselines: BeatGate,
    /// Not surely worse than the default logistic model: lower bound above `by`, usually a small negative margin,
    /// for on little data nothing beats a linear model surely.
    pub keeps_up_with_logistic: BeatGate,
    /// Better than the model in service: lower bound of the paired difference above `by`.
    pub beats_champion: BeatGate,
    /// Calibrated: upper bound of the metric at most this; absent: not asked.
    pub calibration: Option<BoundGate>,
    /// Made from good data: the quality score of every source behind the training set at least this; absent: not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityGate>,
}

impl Default for Gates {
    fn default() -> Self {
        let auc = |by| BeatGate { metric: GateMetric::RocAuc, by };
        Self {
            beats_baselines: auc(0.0),
            keeps_up_with_logistic: auc(-0.02),
            beats_champion: auc(0.0),
            calibration: None,
            quality: None,
        }
    }
}

/// A gate on a paired difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeatGate {
    /// The metric compared.
    pub metric: GateMetric,
    /// Margin.
    #[serde(default)]
    pub by: f64,
}

/// A gate on the upper bound of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundGate {
    /// The metric bounded.
    pub metric: GateMetric,
    /// Largest allowed upper bound.
    pub at_most: f64,
}

/// A gate on the quality of the data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityGate {
    /// Smallest allowed score, from 0 to 100.
    pub at_least: f64,
}

/// Metrics a gate can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it all")]
pub enum GateMetric {
    RocAuc,
    Ece,
    Brier,
    LogLoss,
}

/// Where predictions are offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serve {
    /// Model name in the prediction API.
    pub deployment: DeploymentName,
    /// Longest wait for fresh features.
    #[serde(default = "defaults::deadline")]
    pub deadline: Span,
}

/// What is watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    /// Windows of event time for which performance is computed.
    pub windows: Vec<Window>,
    /// Drift tests.
    pub drift: Drift,
}

impl Default for Monitor {
    fn default() -> Self {
        Self { windows: vec![Window::Week, Window::Month], drift: Drift::default() }
    }
}

/// A calendar window of event time, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Monday to Sunday.
    Week,
    /// Calendar month.
    Month,
}

/// Drift tests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    /// False-discovery rate over all features of a window.
    pub fdr: f64,
}

impl Default for Drift {
    fn default() -> Self {
        Self { fdr: 0.05 }
    }
}

/// When to train again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retrain {
    /// Calendar step of event time.
    pub every: Window,
    /// Boolean expressions over a window's monitoring row: `auc`, `auc_reference`, `auc_drop`, `brier`, `ece`,
    /// `kpi`, `rows`, `drifted_share`.
    pub when: Vec<String>,
    /// Shortest time between two retrains by rule.
    pub cool_down: Span,
}

impl Default for Retrain {
    fn default() -> Self {
        Self { every: Window::Month, when: Vec::new(), cool_down: Span::hours(24 * 7) }
    }
}

mod defaults {
    use crate::Span;

    pub(super) fn lookback() -> Span {
        Span::hours(48)
    }
    pub(super) fn unit() -> String {
        "case".to_owned()
    }
    pub(super) fn action() -> String {
        "look into it".to_owned()
    }
    pub(super) fn deadline() -> Span {
        Span::from_millis(2_000)
    }
}
