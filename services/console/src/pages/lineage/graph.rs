//! What came from what, as every run told it: datasets with their versions, columns, and the events behind a prediction.

use super::picture::{LAYERS, Picture, Way};
use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{Align, choice, empty, encoded, panel, table};
use crate::page::Page;
use crate::pages::models::Known;
use crate::pages::paging::{address, field, filled, select};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_lineage::names;
use tidemill_plot::{Labels, Layered, Node, layered_graph};
use tidemill_provenance::{Graphs, Why, Written, is_prediction_id};
use tidemill_types::Digest;

/// Models in the picture of everything: the newest, and those that have an alias.
const MODELS: usize = 8;
/// Directions that can be asked for; without one, both.
const DIRECTIONS: [&str; 2] = ["up", "down"];

/// What came from what.
#[derive(Debug, Serialize)]
pub(crate) struct Lineage {
    asked: Asked,
    #[serde(flatten)]
    picture: Picture,
    /// What a prediction was made of, but for the single events.
    why: Option<Why>,
    /// Runs that were told so far.
    runs: usize,
    #[serde(skip)]
    sources: Vec<(String, String)>,
}

/// What the picture is about; without anything, all of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// A dataset, with a version or column behind it; a feature, a model or the id of a prediction.
    of: Option<String>,
    direction: Option<String>,
}

impl Page for Lineage {
    type Query = Asked;

    async fn load(app: &App, asked: Asked) -> Result<Self> {
        let project = &app.spec.project;
        let graphs = app.lineage.now(&app.storage, project).await?;
        let ways = ways(filled(asked.direction.as_ref()))?;
        let (mut picture, mut why) = (Picture::default(), None);
        match filled(asked.of.as_ref()) {
            None => everything(app, &graphs, &mut picture).await?,
            Some(id) if is_prediction_id(id) => {
                let found = explained(app, id).await?;
                let model = format!("model/{}", found.model);
                picture.begin(&model, None, "answered".to_owned());
                picture.add(&graphs.runs.up(&model, None), Way::Up);
                why = Some(found);
            }
            Some(of) => one(app, &graphs, of, ways, &mut picture).await?,
        }
        let sources = app.spec.sources.keys();
        let sources = sources.map(|source| (source.to_string(), names::events(project, source))).collect();
        Ok(Self { asked, picture, why, runs: graphs.runs.runs(), sources })
    }

    fn view(&self) -> Markup {
        let of = filled(self.asked.of.as_ref());
        let about = |name: &str| address("/lineage", &[("of", name)], &[]);
        let mut options = vec![("all", "/lineage".to_owned())];
        options.extend(self.sources.iter().map(|(source, name)| (source.as_str(), about(name))));
        let source = self.sources.iter().find(|(_, name)| Some(name.as_str()) == of).map(|(source, _)| source.as_str());
        let chosen = source.unwrap_or(if of.is_none() { "all" } else { "" });
        html! {
            p.lead { "Each box is a link. A thick border marks what the picture is about, and what is in service." }
            (self.form())
            div.sort { span { "By source" } (choice("Source", chosen, &options)) }
            @if self.runs == 0 {
                (empty("No run has told of itself yet.", "tidemill train"))
            } @else {
                @if let Some(why) = &self.why { (explanation(why)) }
                (panel(&self.heading(), &self.note(), &html! {
                    div.scroll tabindex="0" role="region" aria-label="Lineage" { (self.drawn()) }
                }))
                (panel("The same as a list", "", &self.list()))
            }
        }
    }
}

/// In which directions is asked.
fn ways(direction: Option<&str>) -> Result<&'static [Way]> {
    match direction {
        None => Ok(&[Way::Up, Way::Down]),
        Some("up") => Ok(&[Way::Up]),
        Some("down") => Ok(&[Way::Down]),
        Some(other) => Err(Error::Query(format!("direction is up or down, not {other:?}"))),
    }
}

/// What the models of today came from, and what answers with them.
async fn everything(app: &App, graphs: &Graphs, picture: &mut Picture) -> Result<()> {
    let known = Known::load(app).await?;
    let named = |digest: &str| !known.aliases(digest).is_empty();
    let newest = known.versions.iter().enumerate();
    let shown = newest.filter(|(i, entry)| *i < MODELS || (named(entry.digest.as_str()) && *i < 2 * MODELS));
    for (_, entry) in shown {
        let (digest, model) = (entry.digest.as_str(), names::model(&entry.digest));
        let names = known.aliases(digest).join(", ");
        if known.behind("champion") == Some(digest) {
            picture.begin(&model, None, names);
        }
        picture.add(&graphs.runs.up(&model, None), Way::Up);
        picture.add(&graphs.runs.down(&model, None), Way::Down);
    }
    if known.versions.is_empty() {
        for source in app.spec.sources.keys() {
            picture.add(&graphs.runs.down(&names::events(&app.spec.project, source), None), Way::Down);
        }
    }
    Ok(())
}

/// What one dataset, column, feature or model came from, and what was made of it.
async fn one(app: &App, graphs: &Graphs, of: &str, ways: &[Way], picture: &mut Picture) -> Result<()> {
    let (spec, project) = (&app.spec, &app.spec.project);
    let missing =
        || Error::missing("dataset, column, feature, model or prediction", of.chars().take(80).collect::<String>());
    let (runs, columns) = (&graphs.runs, &graphs.columns);
    let written = Written::of(of).ok_or_else(|| Error::Query(format!("{of:?} has no version or sequence number")))?;
    let feature = spec.features.define.contains_key(of).then(|| (format!("features/{}", spec.features.set), of));
    if let Some((dataset, column)) = feature.or_else(|| written.column(project)).filter(|(d, c)| columns.knows(d, c)) {
        let is_of_old = columns.is_of_an_instant(&dataset, written.version);
        let at = if is_of_old { runs.made_at(&dataset, written.version) } else { None };
        picture.begin(&dataset, Some(column), written.version.map(|v| format!("version {v}")).unwrap_or_default());
        for way in ways {
            match way {
                Way::Up => picture.add_columns(&columns.up(&dataset, column, at), Way::Up),
                Way::Down => picture.add_columns(&columns.down(&dataset, column, at), Way::Down),
            }
        }
        return Ok(());
    }
    let name = if of.contains('/') {
        written.dataset(project)
    } else {
        let known = Known::load(app).await?;
        let digest = known.behind(of).or_else(|| known.version(of).map(|entry| entry.digest.as_str()));
        format!("model/{}", digest.ok_or_else(missing)?)
    };
    if !runs.knows(&name) {
        return Err(missing());
    }
    picture.begin(&name, None, written.version.map(|v| format!("version {v}")).unwrap_or_default());
    for way in ways {
        match way {
            Way::Up => picture.add(&runs.up(&name, written.version), Way::Up),
            Way::Down => picture.add(&runs.down(&name, written.version), Way::Down),
        }
    }
    Ok(())
}

/// The events that a prediction was made of.
async fn explained(app: &App, id: &str) -> Result<Why> {
    let (spec, storage) = (&app.spec, &app.storage);
    let missing = || Error::missing("logged prediction", id);
    let found = tidemill_provenance::prediction(storage, &spec.project, &spec.serve.deployment, id).await?;
    let found = found.ok_or_else(missing)?;
    let (model, as_of) = Digest::parse(&found.model).zip(found.as_of).ok_or_else(missing)?;
    let trained = tidemill_provenance::spec_of(&app.bus, storage, spec, &model).await?;
    let mut why = tidemill_provenance::why(storage, &trained, &found, as_of).await?;
    // A page weighs the same however many events there are; the command lists them.
    why.inputs.iter_mut().for_each(|input| input.events.clear());
    Ok(why)
}

fn explanation(why: &Why) -> Markup {
    let heads = [
        ("Input", Align::Text),
        ("Source", Align::Text),
        ("Rows", Align::Number),
        ("First event", Align::Number),
        ("Last event", Align::Number),
        ("Newest known at", Align::Text),
        ("Age, s", Align::Number),
        ("Features", Align::Text),
    ];
    let or_dash = |value: Option<i64>| format::or_dash(value, |value| value.to_string());
    let rows: Vec<Vec<Markup>> = why
        .inputs
        .iter()
        .map(|input| {
            let events = format!("/lineage?of={}", encoded(&input.stream));
            vec![
                html! { code { (input.input) } },
                html! { a href=(events) { (input.source) } },
                html! { (format::count(input.rows as u64)) },
                html! { (or_dash(input.first_event)) },
                html! { (or_dash(input.last_event)) },
                html! { (input.newest_known_at.as_deref().unwrap_or(format::ABSENT)) },
                html! { (or_dash(input.age_s)) },
                html! { span.wrap { (input.features) } },
            ]
        })
        .collect();
    let score = format::or_dash(why.score, |score| format::fixed(score, 4));
    let note = format!("Score {score}, about {}. tidemill lineage why {} lists the events.", why.as_of, why.prediction);
    panel("Events behind the prediction", &note, &table("Events behind the prediction", &heads, &rows))
}

impl Lineage {
    fn form(&self) -> Markup {
        let directions = DIRECTIONS.map(str::to_owned);
        let name = "clean/project/source@12, table.column, feature, model or prediction id";
        html! {
            form.filter method="get" action="/lineage" role="search" {
                (field("What", &html! { input type="search" name="of" value=[&self.asked.of] placeholder=(name); }))
                (field("Direction", &select("direction", "both", &directions, filled(self.asked.direction.as_ref()))))
                button type="submit" { "Show" }
            }
        }
    }

    fn heading(&self) -> String {
        filled(self.asked.of.as_ref()).map_or_else(|| "Everything".to_owned(), |of| of.chars().take(60).collect())
    }

    fn note(&self) -> String {
        match self.picture.left_out {
            0 => String::new(),
            n => format!("{n} more are not shown; ask for one of them, or in one direction."),
        }
    }

    fn drawn(&self) -> Markup {
        let nodes = self.picture.nodes.iter().map(|made| Node {
            layer: made.layer,
            name: &made.name,
            detail: made.detail.clone(),
            href: made.href.clone(),
            emphasised: made.emphasised,
        });
        let edges = self.picture.edges.iter().copied().collect();
        let graph = Layered { layers: LAYERS.to_vec(), nodes: nodes.collect(), edges };
        layered_graph(Labels { title: "What came from what", ..Labels::default() }, &graph)
    }

    fn list(&self) -> Markup {
        let nodes = &self.picture.nodes;
        let mut from: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (above, below) in &self.picture.edges {
            from.entry(*below).or_default().push(&nodes[*above].name);
        }
        let made = |i: usize| match from.get(&i) {
            None => format::ABSENT.to_owned(),
            Some(names) if names.len() > 8 => format!("{} and {} more", names[..8].join(", "), names.len() - 8),
            Some(names) => names.join(", "),
        };
        let heads = [("What", Align::Text), ("Name", Align::Text), ("", Align::Text), ("Made from", Align::Text)];
        let mut in_order: Vec<usize> = (0..nodes.len()).collect();
        in_order.sort_by_key(|i| nodes[*i].layer);
        let row = |i: usize| {
            let node = &nodes[i];
            vec![
                html! { (LAYERS[node.layer]) },
                html! { a href=(node.href) { (node.name) } },
                html! { span.wrap { (node.detail) } },
                html! { span.wrap { (made(i)) } },
            ]
        };
        let rows: Vec<Vec<Markup>> = in_order.into_iter().map(row).collect();
        table("What came from what", &heads, &rows)
    }
}
