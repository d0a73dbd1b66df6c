//! The summary of the story, for people and for programs.

use crate::demo::parity::Parity;
use crate::up::Endpoints;
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Where the rows of a source went.
#[derive(Debug, Default, Serialize)]
pub(super) struct SourceCounts {
    /// Rows published.
    pub(super) published: u64,
    /// Rows in the raw table.
    pub(super) rows: u64,
    /// Dead letters.
    pub(super) dead: u64,
    /// Rows of messages that came again.
    pub(super) duplicates: u64,
    /// Rows neither stored, dead nor counted as duplicates.
    pub(super) lost: i64,
    /// Rows stored more than once.
    pub(super) doubled: u64,
}

/// Predictions from request to log.
#[derive(Debug, Default, Serialize)]
pub(super) struct PredictionCounts {
    pub(super) requested: u64,
    pub(super) answered: u64,
    pub(super) logged: u64,
}

/// One month of the story.
#[derive(Debug, Default, Serialize)]
pub(super) struct Month {
    pub(super) month: String,
    pub(super) flights: u64,
    pub(super) disrupted: f64,
    pub(super) auc_january: Option<f64>,
    pub(super) auc_champion: Option<f64>,
    pub(super) precision_at_budget: Option<f64>,
    pub(super) kpi: Option<f64>,
    pub(super) drifted_features: Vec<String>,
    pub(super) promoted: bool,
}

/// One cycle of the loop.
#[derive(Debug, Serialize)]
pub(super) struct Promotion {
    pub(super) cycle: String,
    pub(super) model: String,
    pub(super) promoted: bool,
    pub(super) failed_gates: Vec<String>,
}

/// Everything `--report` writes.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) events: BTreeMap<String, SourceCounts>,
    pub(super) predictions: PredictionCounts,
    pub(super) outcomes_joined: u64,
    pub(super) months: Vec<Month>,
    pub(super) promotions: Vec<Promotion>,
    #[serde(rename = "static")]
    pub(super) fixed: serde_json::Value,
    pub(super) parity: Parity,
    pub(super) leaks: serde_json::Value,
    pub(super) seconds: f64,
    pub(super) peak_rss_bytes: u64,
}

/// One line for people.
pub(super) fn say(line: &str) {
    // Nobody can be told that nobody can be told.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// The table by month and where to look next, on standard output.
pub(super) fn print(summary: &Summary, endpoints: &Endpoints, data_dir: &Path) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "month",
        "flights",
        "disrupted",
        "AUC January model",
        "AUC champion",
        "precision@10 %",
        "net value",
        "drifted",
        "champion",
    ]);
    let number = |value: Option<f64>, digits: usize| value.map_or("–".to_owned(), |v| format!("{v:.digits$}"));
    for month in &summary.months {
        let cells = [
            month.month.clone(),
            month.flights.to_string(),
            format!("{:.1} %", 100.0 * month.disrupted),
            number(month.auc_january, 3),
            number(month.auc_champion, 3),
            number(month.precision_at_budget, 3),
            number(month.kpi, 0),
            month.drifted_features.len().to_string(),
            if month.promoted { "new" } else { "kept" }.to_owned(),
        ];
        table.add_row(cells.map(|text| Cell::new(text).set_alignment(CellAlignment::Right)));
    }
    let events: u64 = summary.events.values().map(|s| s.published).sum();
    let lost: i64 = summary.events.values().map(|s| s.lost).sum();
    let doubled: u64 = summary.events.values().map(|s| s.doubled).sum();
    let promoted = summary.promotions.iter().filter(|p| p.promoted).count();
    let retracted = match summary.parity.rows_retracted {
        0 => String::new(),
        rows => format!(" ({rows} rows were taken back from online features: vectors served before that differ)"),
    };
    let mut out = std::io::stdout().lock();
    let text = format!(
        "{table}\n\n\
         {events} events published, {lost} lost, {doubled} doubled\n\
         {} predictions answered, {} logged, {} joined with their outcome\n\
         {} vectors and {} scores replayed: {} and {} differ from what was served{retracted}\n\
         {promoted} of {} cycles brought a new champion\n\
         fixed protocol (train January–June, test July–December): {}\n\
         {:.0} s, peak memory {:.2} GB\n\n\
         console       {}\n\
         predictions   {} (gRPC)   {} (REST)\n\
         metrics       {}/metrics\n\
         next          in another terminal: target/debug/tidemill --data-dir {} models ls\n",
        summary.predictions.answered,
        summary.predictions.logged,
        summary.outcomes_joined,
        summary.parity.vectors_compared,
        summary.parity.scores_compared,
        summary.parity.vectors_different,
        summary.parity.scores_different,
        summary.promotions.len(),
        fixed(&summary.fixed),
        summary.seconds,
        summary.peak_rss_bytes as f64 / 1e9,
        endpoints.console,
        endpoints.serving_grpc,
        endpoints.serving_http,
        endpoints.admin,
        data_dir.display(),
    );
    let _ = out.write_all(text.as_bytes());
}

fn fixed(values: &serde_json::Value) -> String {
    let number =
        |key: &str| values.get(key).and_then(serde_json::Value::as_f64).map_or("–".into(), |v| format!("{v:.4}"));
    format!("AUC {}, Brier {}, precision@10 % {}", number("auc"), number("brier"), number("precision_at_budget"))
}
