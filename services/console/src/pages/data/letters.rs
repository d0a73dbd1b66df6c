//! *Dead letters*: refused events, newest first, with the reason and what became of each. Bodies are masked, cut off and
//! come one at a time.

use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{self, Align, State};
use crate::page::Page;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use tidemill_bus::{Entry, Kv, KvSpec, Message, OrderedReader};
use tidemill_contracts::letters::{BUCKET, LetterEntry, LetterState, key};
use tidemill_contracts::{headers, subjects};
use tidemill_privacy::{Masks, rows_of};
use tidemill_spec::Source;
use tidemill_types::{Millis, SourceName};

/// Letters read for one page, and bytes of them.
const LETTERS: u64 = 100;
const BYTES: usize = 8 << 20;
/// Patience with the bus.
const WITHIN: Duration = Duration::from_secs(2);
/// Characters of a body that are shown.
const BODY: usize = 2_000;

/// Which letters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::pages) struct Query {
    source: Option<SourceName>,
    /// Newest number that is shown.
    until: Option<u64>,
}

/// The newest letters.
#[derive(Serialize)]
pub(in crate::pages) struct Letters {
    source: Option<String>,
    sources: Vec<String>,
    kept: u64,
    first: u64,
    until: u64,
    older: Option<u64>,
    reasons: Vec<Reason>,
    letters: Vec<Letter>,
}

/// Letters of one source and code among those that are shown.
#[derive(Clone, Debug, Serialize)]
struct Reason {
    source: String,
    code: String,
    letters: usize,
    open: usize,
    /// The newest of them, as an example.
    example: String,
}

impl Reason {
    /// The most frequent first.
    fn all(letters: &[Letter]) -> Vec<Self> {
        let mut found: BTreeMap<(&str, &str), Self> = BTreeMap::new();
        for letter in letters {
            let reason = found.entry((&letter.source, &letter.code)).or_insert_with(|| Self {
                source: letter.source.clone(),
                code: letter.code.clone(),
                letters: 0,
                open: 0,
                example: letter.reason.clone(),
            });
            reason.letters += 1;
            reason.open += usize::from(letter.state == LetterState::Open);
        }
        let mut reasons: Vec<Self> = found.into_values().collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.letters));
        reasons
    }

    fn row(&self) -> Vec<Markup> {
        vec![
            html! { a href={ "/dead?source=" (layout::encoded(&self.source)) } { (self.source) } },
            layout::badge(State::Warn, &self.code),
            html! { (self.letters) },
            html! { (self.open) },
            html! { span.wrap { (self.example) } },
        ]
    }
}

/// What became of letters.
async fn became(app: &App, letters: &[Message]) -> Result<BTreeMap<u64, LetterEntry>> {
    // Who may only read cannot make the bucket; without one every letter is open.
    match app.bus.stream_state(&format!("KV_{BUCKET}")).await {
        Ok(state) if state.messages > 0 => {}
        Ok(_) | Err(tidemill_bus::Error::NotFound(_)) => return Ok(BTreeMap::new()),
        Err(other) => return Err(other.into()),
    }
    let kv = Kv::open(&app.bus, &KvSpec::new(BUCKET)).await?;
    let (kv, project) = (&kv, &app.spec.project);
    let asked = letters.iter().map(|letter| async move {
        let stored = kv.get(&key(project, letter.seq)).await?.and_then(|entry| entry.value);
        let entry = stored.and_then(|value| serde_json::from_slice::<LetterEntry>(&value).ok());
        Ok::<_, Error>(entry.map(|entry| (letter.seq, entry)))
    });
    let found = futures::future::try_join_all(asked).await?;
    Ok(found.into_iter().flatten().collect())
}

fn state_badge(state: LetterState) -> Markup {
    let shape = match state {
        LetterState::Open => State::Warn,
        LetterState::Replayed => State::Good,
        LetterState::Discarded => State::Idle,
    };
    layout::badge(shape, state.word())
}

/// A refused event in short.
#[derive(Clone, Debug, Serialize)]
struct Letter {
    seq: u64,
    source: String,
    code: String,
    reason: String,
    position: String,
    event_id: String,
    event_seq: String,
    row: Option<String>,
    replay_of: Option<String>,
    state: LetterState,
    at: Millis,
    bytes: usize,
}

impl Letter {
    fn of(message: &Message, became: Option<&LetterEntry>) -> Self {
        let head = |name: &str| message.headers.get(name).unwrap_or_default().chars().take(300).collect::<String>();
        Self {
            seq: message.seq,
            source: message.subject.rsplit('.').next().unwrap_or_default().to_owned(),
            code: head(headers::DEAD_CODE),
            reason: head(headers::DEAD_REASON),
            position: head(headers::DEAD_POSITION),
            event_id: head(headers::CE_ID),
            event_seq: head(headers::DEAD_SEQ),
            row: message.headers.get(headers::DEAD_ROW).map(str::to_owned),
            replay_of: message.headers.get(headers::REPLAY_OF).map(|text| text.chars().take(20).collect()),
            state: became.map_or(LetterState::Open, |entry| entry.state),
            at: message.published_at,
            bytes: message.payload.len(),
        }
    }

    fn row(&self) -> Vec<Markup> {
        vec![
            html! { a href={ "/dead/" (self.seq) } { (self.seq) } },
            html! { (self.source) },
            state_badge(self.state),
            layout::badge(State::Warn, &self.code),
            html! { span.wrap { (self.reason) @if !self.position.is_empty() { span.muted { " at " (self.position) } } } },
            html! { (self.event_seq) @if let Some(row) = &self.row { span.muted { " row " (row) } } },
            html! { (format::bytes(self.bytes as u64)) },
            format::time(self.at),
        ]
    }
}

impl Page for Letters {
    type Query = Query;

    async fn load(app: &App, query: Query) -> Result<Self> {
        let state = app.bus.stream_state(subjects::DEAD_STREAM).await?;
        let until = query.until.unwrap_or(state.last_seq).min(state.last_seq);
        let from = until.saturating_add(1).saturating_sub(LETTERS).max(state.first_seq);
        let messages = if state.messages == 0 || until < from { Vec::new() } else { read(app, from, until).await? };
        let ours = format!("tm.dead.{}.", app.project());
        let wanted = query.source.as_ref().map(SourceName::as_str);
        let became = became(app, &messages).await?;
        let mine = messages.iter().filter(|message| message.subject.starts_with(&ours));
        let letters = mine
            .map(|message| Letter::of(message, became.get(&message.seq)))
            .filter(|letter| wanted.is_none_or(|wanted| letter.source == wanted));
        let mut letters: Vec<Letter> = letters.collect();
        letters.reverse();
        Ok(Self {
            source: query.source.map(|source| source.to_string()),
            sources: app.spec.sources.keys().map(ToString::to_string).collect(),
            kept: state.messages,
            first: state.first_seq,
            until,
            older: (state.messages > 0 && from > state.first_seq).then(|| from - 1),
            reasons: Reason::all(&letters),
            letters,
        })
    }

    fn view(&self) -> Markup {
        if self.kept == 0 {
            let what = "No event was refused. A refused event is kept here with code, reason and place; the rest of its \
                        message goes on.";
            return layout::panel(
                "Dead letters",
                "",
                &layout::empty(what, "tidemill events publish --source SOURCE FILE"),
            );
        }
        let chosen = self.source.as_deref().unwrap_or("all");
        let every = std::iter::once(("all", "/dead".to_owned()));
        let options: Vec<_> = every
            .chain(self.sources.iter().map(|source| (source.as_str(), format!("/dead?source={source}"))))
            .collect();
        let heads = [
            ("Letter", Align::Number),
            ("Source", Align::Text),
            ("State", Align::Text),
            ("Code", Align::Text),
            ("Reason", Align::Text),
            ("Event", Align::Number),
            ("Size", Align::Number),
            ("Refused at", Align::Text),
        ];
        let rows: Vec<_> = self.letters.iter().map(Letter::row).collect();
        let filter = self.source.as_ref().map(|source| format!("&source={source}")).unwrap_or_default();
        let note = format!("{} kept; numbers {} to {} looked at", format::count(self.kept), self.from(), self.until);
        html! {
            div.toolbar { (layout::choice("Source", chosen, &options)) }
            @if !self.reasons.is_empty() {
                @let heads = [("Source", Align::Text), ("Code", Align::Text), ("Letters", Align::Number), ("Open", Align::Number), ("Newest reason", Align::Text)];
                @let covers = format!("of letters {} to {} only; of all: tidemill dead summary", self.from(), self.until);
                (layout::panel("Reasons", &covers,
                    &layout::table("Reasons", &heads, &self.reasons.iter().map(Reason::row).collect::<Vec<_>>())))
            }
            (layout::panel("Dead letters", &note, &html! {
                @if rows.is_empty() { (layout::empty("None of this source among them.", "")) }
                @else { (layout::table("Dead letters, newest first", &heads, &rows)) }
                nav.pager aria-label="Parts of the list" {
                    @if let Some(older) = self.older { a rel="next" href={ "/dead?until=" (older) (filter) } { "Older →" } }
                }
            }))
            p.muted {
                "Mend a letter and send it again: " code { "tidemill dead replay NUMBER --file mended.json" }
                "; put it aside: " code { "tidemill dead discard NUMBER --reason TEXT" }
            }
        }
    }
}

impl Letters {
    /// The oldest number looked at.
    fn from(&self) -> u64 {
        self.older.map_or(self.first, |older| older + 1)
    }
}

/// One letter with its body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::pages) struct LetterQuery {
    seq: u64,
}

/// A refused event.
#[derive(Serialize)]
pub(in crate::pages) struct One {
    #[serde(flatten)]
    letter: Letter,
    became: Option<LetterEntry>,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    /// Columns that are masked in the body.
    masked: Vec<String>,
    cut: bool,
}

impl Page for One {
    type Query = LetterQuery;

    async fn load(app: &App, query: LetterQuery) -> Result<Self> {
        let missing = || Error::missing("dead letter", query.seq.to_string());
        let state = app.bus.stream_state(subjects::DEAD_STREAM).await?;
        if query.seq < state.first_seq.max(1) || query.seq > state.last_seq {
            return Err(missing());
        }
        let messages = read(app, query.seq, query.seq).await?;
        let message = messages.into_iter().find(|message| message.seq == query.seq).ok_or_else(missing)?;
        if !message.subject.starts_with(&format!("tm.dead.{}.", app.project())) {
            return Err(missing());
        }
        let became = became(app, std::slice::from_ref(&message)).await?.remove(&message.seq);
        let letter = Letter::of(&message, became.as_ref());
        let source = letter.source.parse::<SourceName>().ok().and_then(|name| app.spec.sources.get(&name));
        let text = std::str::from_utf8(&message.payload).ok();
        let masks = text.map(|text| masks(source, text)).transpose()?.unwrap_or_default();
        Ok(Self {
            letter,
            became,
            headers: message
                .headers
                .iter()
                .map(|(name, value)| (name.to_owned(), value.chars().take(300).collect()))
                .collect(),
            cut: text.is_some_and(|text| text.chars().count() > BODY),
            body: text.map(|text| masks.body(text, BODY)),
            masked: masks.columns().map(str::to_owned).collect(),
        })
    }

    fn title(&self) -> Option<String> {
        Some(format!("Dead letter {}", self.letter.seq))
    }

    fn view(&self) -> Markup {
        let letter = &self.letter;
        let facts = [
            (
                "Code",
                html! { (layout::badge(State::Warn, &letter.code)) " " code { "tidemill explain " (letter.code) } },
            ),
            ("State", self.state()),
            ("Reason", html! { (letter.reason) }),
            ("Place", html! { (if letter.position.is_empty() { format::ABSENT } else { &letter.position }) }),
            ("Source", html! { a href={ "/data/" (letter.source) } { (letter.source) } }),
            ("Event", html! { (letter.event_id) }),
            ("Message", html! { (letter.event_seq) @if let Some(row) = &letter.row { ", row " (row) } }),
            ("Refused at", format::time(letter.at)),
            ("Size", html! { (format::bytes(letter.bytes as u64)) }),
        ];
        let cut = self.cut.then(|| format!("the first {} characters", format::count(BODY as u64)));
        let masked = (!self.masked.is_empty()).then(|| format!("masked: {}", self.masked.join(", ")));
        let note = cut.into_iter().chain(masked).collect::<Vec<_>>().join("; ");
        html! {
            p.crumbs { a href="/dead" { "Dead letters" } " / " (letter.seq) }
            (layout::panel("What and why", "", &layout::facts(&facts)))
            (layout::panel("Body", &note, &html! {
                @match &self.body {
                    Some(body) => pre tabindex="0" { (body) },
                    None => { (layout::empty("The body is binary.", &format!("tidemill dead show {}", letter.seq))) }
                }
            }))
            (layout::panel("Headers", "", &layout::table("Headers", &[("Name", Align::Text), ("Value", Align::Text)],
                &self.headers.iter().map(|(name, value)| vec![html! { (name) }, html! { span.wrap { (value) } }]).collect::<Vec<_>>())))
            p.muted { "Mend the event in a file, then: " code { "tidemill dead replay " (letter.seq) " --file mended.json" } }
        }
    }
}

impl One {
    /// What became of it, by whom and why.
    fn state(&self) -> Markup {
        html! {
            (state_badge(self.letter.state))
            @if let Some(entry) = &self.became {
                " " (format::time(entry.at)) " by " (entry.by.chars().take(80).collect::<String>())
                @if let Some(seq) = entry.event_seq { ", as event " (seq) @if entry.mended { ", mended" } }
                @if !entry.reason.is_empty() { ": " (entry.reason.chars().take(300).collect::<String>()) }
            }
            @if let Some(first) = &self.letter.replay_of {
                " · the event of letter " a href={ "/dead/" (layout::encoded(first)) } { (first) } ", sent again"
            }
        }
    }
}

/// What is masked in the body of a letter: what the project calls personal, and what looks so.
fn masks(source: Option<&Source>, body: &str) -> Result<Masks> {
    let declared = source.map(Source::declarations).unwrap_or_default();
    Ok(Masks::of_rows(&declared, &rows_of(body))?)
}

/// Letters of these numbers, as far as they come in time.
async fn read(app: &App, from: u64, until: u64) -> Result<Vec<Message>> {
    let mut reader = OrderedReader::open(&app.bus, subjects::DEAD_STREAM, from).await?;
    let wanted = usize::try_from(until - from + 1).unwrap_or(usize::MAX);
    let deadline = tokio::time::Instant::now() + WITHIN;
    let mut at = from;
    let mut letters = Vec::new();
    while at <= until && tokio::time::Instant::now() < deadline {
        for entry in reader.next_ready(wanted, BYTES, WITHIN).await? {
            at = entry.seq() + 1;
            if let Entry::Message(message) = entry
                && message.seq <= until
            {
                letters.push(message);
            }
        }
    }
    Ok(letters)
}
