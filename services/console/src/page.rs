//! The contract of a page: one loaded value, seen as HTML at `/path` and as JSON at `/path.json`.
//!
//! A page cannot have one without the other, because both are made from the same value. Names in the path (`{name}`)
//! and parameters behind `?` arrive together in [`Page::Query`], which refuses what it does not know.

use crate::app::App;
use crate::error::{Error, Result};
use crate::layout::{self, Frame};
use crate::security;
use axum::Router;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use maud::Markup;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;
use tidemill_runtime::to_problem;
use tidemill_types::Classified as _;

/// Longest text of parameters that is looked at.
const MAX_QUERY_BYTES: usize = 4_096;

/// Where a page stands in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// How the instance fares.
    Operate,
    /// What comes in.
    Data,
    /// What is learned.
    Learn,
    /// Reached from another page, not from the navigation.
    Inside,
}

impl Group {
    /// Groups of the navigation in their order.
    pub const SHOWN: [Self; 3] = [Self::Operate, Self::Data, Self::Learn];

    /// Heading in the navigation.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Operate => "Operate",
            Self::Data => "Data",
            Self::Learn => "Learn",
            Self::Inside => "",
        }
    }
}

/// One line of the table of pages.
pub struct Entry {
    /// Path of the page, such as `/runs/{run}`; a name in braces is the last part.
    pub path: &'static str,
    /// Title in the navigation.
    pub title: &'static str,
    /// Place in the navigation.
    pub group: Group,
    mount: Mount,
}

/// Adds routes of a page.
type Mount = fn(Router<Arc<App>>, &'static Entry) -> Router<Arc<App>>;

impl Entry {
    /// A page of type `P`.
    #[must_use]
    pub const fn new<P: Page>(path: &'static str, title: &'static str, group: Group) -> Self {
        Self { path, title, group, mount: mount::<P> }
    }

    /// Adds the page and its twin.
    pub(crate) fn mount(&'static self, router: Router<Arc<App>>) -> Router<Arc<App>> {
        (self.mount)(router, self)
    }
}

/// A page: what it shows, and how.
pub trait Page: Serialize + Send + Sized + 'static {
    /// Names in the path and parameters behind `?`; derive `Deserialize` with `deny_unknown_fields`.
    type Query: DeserializeOwned + Send + 'static;

    /// Reads what is shown. Costs the same however many rows there are: reads profiles, reports and heads.
    fn load(app: &App, query: Self::Query) -> impl Future<Output = Result<Self>> + Send;

    /// The heading, when it is more than the title in the table.
    fn title(&self) -> Option<String> {
        None
    }

    /// The inner part of the page.
    fn view(&self) -> Markup;
}

/// Query of a page that takes no parameters.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoQuery {}

fn mount<P: Page>(router: Router<Arc<App>>, entry: &'static Entry) -> Router<Arc<App>> {
    let answer = move |State(app): State<Arc<App>>,
                       Path(names): Path<HashMap<String, String>>,
                       RawQuery(query): RawQuery,
                       uri: Uri,
                       headers: HeaderMap| async move {
        let asked = Asked { entry, names, query: query.unwrap_or_default(), twin: uri.path().ends_with(".json") };
        asked.answer::<P>(&app, &headers).await
    };
    let router = router.route(entry.path, get(answer));
    match entry.path {
        // A name in the path takes the ending with it.
        path if path.ends_with('}') => router,
        "/" => router.route("/index.json", get(answer)),
        path => router.route(&format!("{path}.json"), get(answer)),
    }
}

struct Asked {
    entry: &'static Entry,
    names: HashMap<String, String>,
    query: String,
    twin: bool,
}

impl Asked {
    async fn answer<P: Page>(self, app: &App, headers: &HeaderMap) -> Response {
        let began = Instant::now();
        let loaded = async {
            security::check_host(app, headers)?;
            P::load(app, self.parse::<P::Query>()?).await
        };
        let mut response = match loaded.await {
            Ok(page) if self.twin => Json(&page).into_response(),
            Ok(page) => {
                let title = page.title().unwrap_or_else(|| self.entry.title.to_owned());
                let frame = Frame::new(app, self.entry.path, headers).with_twin(self.twin_url());
                Html(layout::document(&frame, &title, &page.view()).into_string()).into_response()
            }
            Err(error) => refusal(app, headers, self.twin, &error),
        };
        let took = format!("page;dur={:.1}", began.elapsed().as_secs_f64() * 1_000.0);
        if let Ok(took) = took.parse() {
            response.headers_mut().insert("server-timing", took);
        }
        response
    }

    /// Names and parameters as one value.
    fn parse<Q: DeserializeOwned>(&self) -> Result<Q> {
        if self.query.len() > MAX_QUERY_BYTES {
            return Err(Error::Query(format!("more than {MAX_QUERY_BYTES} bytes of parameters")));
        }
        let mut pairs: Vec<String> = Vec::new();
        for (name, value) in &self.names {
            let value = if self.twin { value.strip_suffix(".json").unwrap_or(value) } else { value };
            pairs.push(format!("{name}={}", layout::encoded(value)));
        }
        if !self.query.is_empty() {
            pairs.push(self.query.clone());
        }
        parameters(&pairs.join("&"))
    }

    /// Address of the JSON of this very page.
    fn twin_url(&self) -> String {
        let mut path = self.entry.path.to_owned();
        for (name, value) in &self.names {
            path = path.replace(&format!("{{{name}}}"), &layout::encoded(value));
        }
        let path = if path == "/" { "/index".to_owned() } else { path };
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        format!("{path}.json{query}")
    }
}

/// Pairs as they stand behind `?` or in the body of a form.
pub(crate) fn parameters<T: DeserializeOwned>(pairs: &str) -> Result<T> {
    let uri: Uri =
        format!("/?{pairs}").parse().map_err(|_| Error::Query("it holds characters of no address".into()))?;
    Query::try_from_uri(&uri).map(|Query(value)| value).map_err(|e| {
        let cause = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
        Error::Query(cause)
    })
}

/// An error as a page or as problem+json.
pub(crate) fn refusal(app: &App, headers: &HeaderMap, twin: bool, error: &Error) -> Response {
    let problem = to_problem(error);
    if problem.status >= 500 {
        tracing::warn!(code = problem.code, error = problem.detail, "a page could not be shown");
    }
    if twin {
        return problem.into_response();
    }
    let frame = Frame::new(app, "", headers);
    let page = layout::document(&frame, &problem.title, &layout::problem(&problem, error.mend()));
    let status = axum::http::StatusCode::from_u16(problem.status).unwrap_or_default();
    let mut response = (status, Html(page.into_string())).into_response();
    if error.is_transient() {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("2"));
    }
    response
}
