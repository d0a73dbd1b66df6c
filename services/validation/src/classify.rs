//! Keeps a source back while it has columns that look like personal data and that nobody has classified.
//!
//! The decision looks at the project file and the rows that come next, and at nothing else: a process that begins again
//! decides again, on the same rows. A source that is kept back has neither clean nor quarantined rows of the pass, and no
//! row is lost: validation goes on from its cursor once the project file says what the columns are. That it is kept back
//! stands in the clean table, for online features, which would otherwise run ahead of it.

use crate::Deps;
use crate::error::ValidationError;
use arrow::array::RecordBatch;
use tidemill_contracts::events::AlertRaised;
use tidemill_privacy::{ColumnView, Declaration, PrivacyError, Unclassified, classify};
use tidemill_quality::RuleResult;
use tidemill_spec::{Rule, Source};
use tidemill_stats::TableProfile;
use tidemill_types::{Classified as _, Digest, SourceName};
use tracing::warn;

/// Name of the rule in alerts.
const RULE: &str = "unclassified_personal_data";

/// What the columns of a pass look like, when any of them waits for a classification. `seed` chooses the sample.
pub(crate) fn undecided(
    source: &SourceName,
    declared: &Source,
    rows: &RecordBatch,
    seed: u64,
) -> Result<Option<PrivacyError>, PrivacyError> {
    let views = declared.columns.iter().filter_map(|(name, column)| {
        let values = rows.column_by_name(name)?;
        Some(ColumnView { name, values, declared: column.pii })
    });
    let verdicts = classify(&views.collect::<Vec<_>>(), seed)?;
    let suspicious = verdicts.into_iter().filter(|verdict| verdict.is_suspicious());
    let columns: Vec<Unclassified> = suspicious
        .filter_map(|verdict| {
            let column = declared.columns.get(&verdict.column)?;
            let line = column.line(&verdict.column, Declaration::Class(verdict.class?));
            Some(Unclassified { verdict, line })
        })
        .collect();
    Ok((!columns.is_empty()).then(|| PrivacyError::Unclassified { name: source.to_string(), columns }))
}

/// Results of rules that show no personal data, neither in failing rows nor in what was seen.
pub(crate) fn masked(results: &[RuleResult], rules: &[Rule], declared: &Source) -> Vec<RuleResult> {
    let masks = declared.masks();
    let rule = |result: &RuleResult| rules.iter().find(|rule| rule.id == result.id);
    results.iter().map(|result| result.masked(rule(result), &masks)).collect()
}

/// A profile that keeps no value of a classified column.
pub(crate) fn without_values(mut profile: TableProfile, declared: &Source) -> TableProfile {
    let masks = declared.masks();
    profile.withhold(|column| masks.covers(column));
    profile
}

/// Whether the rows behind the cursor may go on. It remembers only what this process has already said.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    held_at: Option<u64>,
}

impl Gate {
    /// Whether the pass that begins at a cursor was held back by this process. Its project file does not change, so
    /// neither would the decision.
    pub(crate) fn holds(&self, cursor: u64) -> bool {
        self.held_at == Some(cursor)
    }

    /// Decides on the rows of the pass that begins at a cursor, and tells of a refusal. Gives the columns that wait for
    /// their classification; none: the rows may go on.
    pub(crate) async fn holds_back(
        &mut self,
        deps: &Deps,
        source: &SourceName,
        rows: &RecordBatch,
        cursor: u64,
    ) -> Result<Vec<String>, ValidationError> {
        let declared = deps.spec.sources.get(source).ok_or_else(|| ValidationError::NoSource(source.to_string()))?;
        let Some(found) = undecided(source, declared, rows, cursor)? else {
            return Ok(Vec::new());
        };
        let text = format!("{}: {found}; apply the file and restart validation", found.code());
        warn!(%source, "{text}");
        let columns = columns(&found);
        alert(deps, source, text, &columns).await?;
        self.held_at = Some(cursor);
        Ok(columns)
    }
}

/// Tells of a source that is held back. The same columns twice are one message for the bus.
async fn alert(deps: &Deps, source: &SourceName, text: String, names: &[String]) -> Result<(), ValidationError> {
    let project = &deps.spec.project;
    let id = format!("{RULE}:{project}:{source}:{}", Digest::of(names.join("\n").as_bytes()).short());
    let alert = AlertRaised { rule: RULE.to_owned(), severity: "page".to_owned(), text, ..AlertRaised::default() };
    Ok(deps.teller().alert(Some(&id), alert).await?)
}

fn columns(found: &PrivacyError) -> Vec<String> {
    match found {
        PrivacyError::Unclassified { columns, .. } => columns.iter().map(|c| c.verdict.column.clone()).collect(),
        PrivacyError::Values(_) => Vec::new(),
    }
}
