//! Registered models, and the card of each.

mod card;
mod importance;
mod known;
mod scorecard;

pub(crate) use card::{ModelPage, download};
pub(crate) use importance::importance;
pub(crate) use known::Known;
pub(crate) use scorecard::{Better, Comparison, Difference, Estimate, Scorecard, p_value, scorecard};

use crate::app::App;
use crate::error::Result;
use crate::format;
use crate::layout::{Align, State, badge, empty, panel, table};
use crate::page::Page;
use crate::pages::paging::{Part, filled};
use futures::future::join_all;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tidemill_types::Millis;

/// Models on one page.
const SHOWN: usize = 20;

/// The list of registered models.
#[derive(Debug, Serialize)]
pub(crate) struct Models {
    part: Part,
    models: Vec<Line>,
    #[serde(skip)]
    known: Known,
}

/// Which part is shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelsQuery {
    page: Option<String>,
}

#[derive(Debug, Serialize)]
struct Line {
    version: u64,
    digest: String,
    aliases: Vec<String>,
    run: String,
    created: Millis,
    judged: Option<Judged>,
}

/// What a list shows of a scorecard.
#[derive(Debug, Serialize)]
struct Judged {
    learner: String,
    test_from: Millis,
    test_until: Millis,
    roc_auc: Estimate,
    kpi: Estimate,
    kpi_unit: String,
    gates: usize,
    gates_passed: usize,
    passed: bool,
}

impl From<Scorecard> for Judged {
    fn from(card: Scorecard) -> Self {
        Self {
            gates: card.gates.len(),
            gates_passed: card.gates.iter().filter(|gate| gate.passed).count(),
            passed: card.passed,
            learner: card.subject.learner,
            test_from: card.subject.test_from,
            test_until: card.subject.test_until,
            roc_auc: card.report.roc_auc,
            kpi: card.kpi.at_budget,
            kpi_unit: card.kpi.unit,
        }
    }
}

impl Page for Models {
    type Query = ModelsQuery;

    async fn load(app: &App, query: ModelsQuery) -> Result<Self> {
        let known = Known::load(app).await?;
        let part = Part::of(known.versions.len(), SHOWN, filled(query.page.as_ref()))?;
        let shown = part.cut(known.versions.clone());
        let cards = join_all(shown.iter().map(|entry| scorecard(app, entry.digest.as_str()))).await;
        let line = |(entry, card): (tidemill_registry::VersionEntry, Result<Option<Scorecard>>)| {
            Ok(Line {
                version: entry.version,
                aliases: known.aliases(entry.digest.as_str()).to_vec(),
                digest: entry.digest.to_string(),
                run: entry.run.to_string(),
                created: entry.created,
                judged: card?.map(Judged::from),
            })
        };
        let models = shown.into_iter().zip(cards).map(line).collect::<Result<_>>()?;
        Ok(Self { part, models, known })
    }

    fn view(&self) -> Markup {
        if self.models.is_empty() {
            return empty("No model is registered yet: the first training run makes one.", "tidemill train");
        }
        let heads = [
            ("Model", Align::Text),
            ("Verdict", Align::Text),
            ("Learner", Align::Text),
            ("AUC on the sealed test", Align::Number),
            ("Business measure", Align::Number),
            ("Test window", Align::Text),
            ("Run", Align::Text),
        ];
        let rows: Vec<Vec<Markup>> = self.models.iter().map(|line| self.row(line)).collect();
        let note =
            "Test windows differ from model to model: numbers of two rows are compared on the page of both runs.";
        panel(
            "Registered models",
            note,
            &html! { (table("Registered models", &heads, &rows)) (self.part.links("/models", &[])) },
        )
    }
}

impl Models {
    fn row(&self, line: &Line) -> Vec<Markup> {
        let mut cells = vec![self.known.link(&line.digest)];
        match &line.judged {
            Some(judged) => {
                let state = if judged.passed { State::Good } else { State::Bad };
                cells.push(badge(state, &format!("{} of {} gates", judged.gates_passed, judged.gates)));
                cells.push(html! { (judged.learner) });
                cells.push(judged.roc_auc.show(3));
                cells.push(html! { (judged.kpi.show(0)) " " (judged.kpi_unit) });
                cells.push(html! { (format::day(judged.test_from)) " – " (format::day(judged.test_until)) });
            }
            None => {
                cells.push(badge(State::Idle, "not judged"));
                cells.extend((0..4).map(|_| html! { (format::ABSENT) }));
            }
        }
        cells.push(html! { a href={ "/runs/" (line.run) } { (line.run) } });
        cells
    }
}
