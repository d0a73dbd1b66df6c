//! What came from what: source → clean table → features → run → model → deployment.

use super::uses::{Uses, uses};
use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{Align, choice, encoded, panel, table};
use crate::page::Page;
use crate::pages::experiments::Run;
use crate::pages::models::Known;
use crate::pages::paging::filled;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_plot::{Labels, Layered, Node, layered_graph};
use tidemill_spec::Spec;

/// Runs drawn, the newest and those whose model has an alias.
const RUNS: usize = 8;
/// Features drawn one by one; more are drawn by the sources they read.
const SINGLE: usize = 16;
const LAYERS: [&str; 6] = ["source", "clean table", "feature", "run", "model", "deployment"];

/// What came from what.
#[derive(Debug, Serialize)]
pub(crate) struct Lineage {
    focus: Focus,
    nodes: Vec<Made>,
    /// From, to: places in `nodes`.
    edges: Vec<(usize, usize)>,
    #[serde(skip)]
    sources: Vec<String>,
}

/// What the picture is about; without anything, all of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Focus {
    source: Option<String>,
    feature: Option<String>,
    model: Option<String>,
}

/// Something that was made, or that things are made of.
#[derive(Clone, Debug, Serialize)]
struct Made {
    layer: usize,
    name: String,
    detail: String,
    href: String,
    emphasised: bool,
}

impl Page for Lineage {
    type Query = Focus;

    async fn load(app: &App, focus: Focus) -> Result<Self> {
        let (runs, known) = tokio::try_join!(Run::all(app), Known::load(app))?;
        let spec: &Spec = &app.spec;
        check(&focus, spec, &known)?;
        let runs = drawn(runs, &known, filled(focus.model.as_ref()));
        let (nodes, edges) = Draft::default().of(spec, &focus, &runs, &known);
        Ok(Self { focus, nodes, edges, sources: spec.sources.keys().map(ToString::to_string).collect() })
    }

    fn view(&self) -> Markup {
        let nodes = self.nodes.iter().map(|made| Node {
            layer: made.layer,
            name: &made.name,
            detail: made.detail.clone(),
            href: made.href.clone(),
            emphasised: made.emphasised,
        });
        let graph = Layered { layers: LAYERS.to_vec(), nodes: nodes.collect(), edges: self.edges.clone() };
        let chosen = filled(self.focus.source.as_ref()).unwrap_or(if self.whole() { "all" } else { "" });
        let mut options = vec![("all", "/lineage".to_owned())];
        options.extend(self.sources.iter().map(|s| (s.as_str(), format!("/lineage?source={}", encoded(s)))));
        html! {
            p.lead { "Each box is a link. A thick border marks what the picture is about, and what is in service." }
            div.sort { span { "By source" } (choice("Source", chosen, &options)) }
            (panel(&self.heading(), "", &html! {
                div.scroll tabindex="0" role="region" aria-label="Lineage" { (layered_graph(Labels { title: "What came from what", ..Labels::default() }, &graph)) }
            }))
            (panel("The same as a list", "", &self.list()))
        }
    }
}

impl Lineage {
    fn whole(&self) -> bool {
        let focus = &self.focus;
        [&focus.source, &focus.feature, &focus.model].into_iter().all(|f| filled(f.as_ref()).is_none())
    }

    fn heading(&self) -> String {
        let focus = &self.focus;
        let named = [("Source", &focus.source), ("Feature", &focus.feature), ("Model", &focus.model)];
        let found = named.into_iter().find_map(|(what, name)| Some(format!("{what} {}", filled(name.as_ref())?)));
        found.map_or_else(|| "Everything".to_owned(), |text| text.chars().take(40).collect())
    }

    fn list(&self) -> Markup {
        let mut from: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (above, below) in &self.edges {
            from.entry(*below).or_default().push(&self.nodes[*above].name);
        }
        let made = |i: usize| match from.get(&i) {
            None => format::ABSENT.to_owned(),
            Some(names) if names.len() > 8 => format!("{} and {} more", names[..8].join(", "), names.len() - 8),
            Some(names) => names.join(", "),
        };
        let row = |(i, node): (usize, &Made)| {
            vec![
                html! { (LAYERS[node.layer]) },
                html! { a href=(node.href) { (node.name) } },
                html! { span.wrap { (node.detail) } },
                html! { span.wrap { (made(i)) } },
            ]
        };
        let heads = [("What", Align::Text), ("Name", Align::Text), ("", Align::Text), ("Made from", Align::Text)];
        let mut made_in_order: Vec<(usize, &Made)> = self.nodes.iter().enumerate().collect();
        made_in_order.sort_by_key(|(_, node)| node.layer);
        table("Lineage", &heads, &made_in_order.into_iter().map(row).collect::<Vec<_>>())
    }
}

/// Names in the address that do not exist are refused.
fn check(focus: &Focus, spec: &Spec, known: &Known) -> Result<()> {
    let missing = |what, name: &str| Err(Error::missing(what, name.chars().take(80).collect::<String>()));
    match (filled(focus.source.as_ref()), filled(focus.feature.as_ref()), filled(focus.model.as_ref())) {
        (Some(name), _, _) if !spec.sources.keys().any(|source| source.as_str() == name) => missing("source", name),
        (_, Some(name), _) if !spec.features.define.contains_key(name) => missing("feature", name),
        (_, _, Some(name)) if known.version(name).is_none() => missing("model", name),
        _ => Ok(()),
    }
}

/// The runs in the picture: that of the model it is about, or the newest and those whose model has a name.
fn drawn(runs: Vec<Run>, known: &Known, model: Option<&str>) -> Vec<Run> {
    let named = |run: &Run| run.model_digest.as_deref().is_some_and(|digest| !known.aliases(digest).is_empty());
    let mut kept = Vec::new();
    for run in runs {
        let wanted = match model {
            Some(model) => run.model_digest.as_deref() == Some(model),
            None => kept.len() < RUNS || (named(&run) && kept.len() < 2 * RUNS),
        };
        if wanted {
            kept.push(run);
        }
    }
    kept
}

/// The graph while it is put together.
#[derive(Default)]
struct Draft {
    nodes: Vec<Made>,
    edges: Vec<(usize, usize)>,
}

impl Draft {
    fn of(mut self, spec: &Spec, focus: &Focus, runs: &[Run], known: &Known) -> (Vec<Made>, Vec<(usize, usize)>) {
        let features = wanted(spec, focus);
        let read: BTreeSet<&String> = features.iter().flat_map(|(_, uses)| &uses.sources).collect();
        let single = filled(focus.source.as_ref());
        let mut tables = BTreeMap::new();
        for source in spec.sources.keys() {
            let name = source.as_str();
            let outcome = spec.features.label.source == *source;
            let told = read.iter().any(|r| r.as_str() == name) || (outcome && self.whole(focus));
            if !told {
                continue;
            }
            let events = self.add(
                0,
                name,
                if outcome { "outcomes" } else { "events" },
                format!("/data/{}", encoded(name)),
                single == Some(name),
            );
            let versions: BTreeSet<i64> =
                runs.iter().filter_map(|r| r.training_set.as_ref()?.table_versions.get(name)).copied().collect();
            let detail = versions.last().map(|v| format!("version {v} at training")).unwrap_or_default();
            let table = self.add(1, name, &detail, format!("/data/{}", encoded(name)), false);
            self.edges.push((events, table));
            tables.insert(name.to_owned(), table);
        }
        let ends = self.features(&features, &tables, filled(focus.feature.as_ref()));
        // The label is made of outcomes as features are made of events, so it stands in their column.
        let outcomes = tables.get(spec.features.label.source.as_str()).copied();
        let label = outcomes.map(|table| {
            let detail = format!("from {}", spec.features.label.source);
            let place = self.add(2, "label", &detail, "/features".to_owned(), false);
            self.edges.push((table, place));
            place
        });
        self.runs(spec, runs, known, &ends, label, filled(focus.model.as_ref()));
        (self.nodes, self.edges)
    }

    fn whole(&self, focus: &Focus) -> bool {
        filled(focus.feature.as_ref()).is_none() && filled(focus.source.as_ref()).is_none()
    }

    /// Features one by one, or by the sources they read. Returns their places.
    fn features(
        &mut self,
        features: &[(&str, Uses)],
        tables: &BTreeMap<String, usize>,
        about: Option<&str>,
    ) -> Vec<usize> {
        let mut places = Vec::new();
        let link = |draft: &mut Self, place: usize, sources: &BTreeSet<String>| {
            draft.edges.extend(sources.iter().filter_map(|source| Some((*tables.get(source)?, place))));
        };
        if features.len() <= SINGLE {
            for (name, uses) in features {
                let detail = uses.inputs.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                let place = self.add(2, name, &detail, format!("/features/{}", encoded(name)), about == Some(*name));
                link(self, place, &uses.sources);
                places.push(place);
            }
            return places;
        }
        let mut groups: BTreeMap<&BTreeSet<String>, Vec<&str>> = BTreeMap::new();
        for (name, uses) in features {
            groups.entry(&uses.sources).or_default().push(name);
        }
        for (sources, names) in groups {
            let detail = if sources.is_empty() {
                "constants".to_owned()
            } else {
                sources.iter().map(String::as_str).collect::<Vec<_>>().join(" + ")
            };
            let first = sources.first().map(|s| format!("?source={}", encoded(s))).unwrap_or_default();
            let (name, href) = match names.as_slice() {
                [one] => ((*one).to_owned(), format!("/features/{}", encoded(one))),
                many => (format!("{} features", many.len()), format!("/lineage{first}")),
            };
            let place = self.add(2, &name, &detail, href, false);
            link(self, place, sources);
            places.push(place);
        }
        places
    }

    fn runs(
        &mut self,
        spec: &Spec,
        runs: &[Run],
        known: &Known,
        features: &[usize],
        label: Option<usize>,
        about: Option<&str>,
    ) {
        let deployment = spec.serve.deployment.as_str();
        let mut deployed = None;
        for run in runs {
            let place = self.add(
                3,
                &run.cycle,
                &format!("{}, {}", run.state, format::day(run.as_of)),
                format!("/runs/{}", run.cycle),
                false,
            );
            if run.training_set.is_some() {
                self.edges.extend(features.iter().chain(&label).map(|from| (*from, place)));
            }
            let Some(digest) = &run.model_digest else { continue };
            let names = known.aliases(digest).join(", ");
            let champion = known.aliases(digest).iter().any(|alias| alias == "champion");
            let detail = if names.is_empty() { "not in service" } else { &names };
            let model = self.add(
                4,
                &known.name(digest),
                detail,
                format!("/models/{digest}"),
                champion || about == Some(digest.as_str()),
            );
            self.edges.push((place, model));
            if !names.is_empty() {
                let to = *deployed.get_or_insert_with(|| {
                    self.add(5, deployment, "serves the champion, shadows the first", "/deployments".to_owned(), true)
                });
                self.edges.push((model, to));
            }
        }
    }

    fn add(&mut self, layer: usize, name: &str, detail: &str, href: String, emphasised: bool) -> usize {
        self.nodes.push(Made { layer, name: name.to_owned(), detail: detail.to_owned(), href, emphasised });
        self.nodes.len() - 1
    }
}

/// Features in the picture with what they read.
fn wanted<'a>(spec: &'a Spec, focus: &Focus) -> Vec<(&'a str, Uses)> {
    let all = spec.features.define.iter().map(|(name, definition)| (name.as_str(), uses(spec, definition.expr())));
    let (source, feature) = (filled(focus.source.as_ref()), filled(focus.feature.as_ref()));
    all.filter(|(name, uses)| feature.is_none_or(|f| f == *name) && source.is_none_or(|s| uses.sources.contains(s)))
        .collect()
}
