//! Where the rows of a source are fetched from, when nobody publishes them.
//!
//! Whatever the origin, rows become the same data events on the bus; these keys say only how they are got. Secrets
//! never stand in a project file: keys name the file or the environment variable that holds them.

use crate::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What ingestion fetches rows from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Files below a folder or an S3 prefix, each taken once it is complete.
    Files(FilesOrigin),
    /// Pages of an HTTP interface, asked for again and again.
    Http(HttpOrigin),
    /// A table of PostgreSQL, whole at first, then what changed.
    Postgres(PostgresOrigin),
}

/// How rows are written in a file or a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowFormat {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// An array of JSON objects, or one object; over HTTP only.
    Json,
    /// Parquet; files only.
    Parquet,
    /// Arrow IPC, file or stream; files only.
    Arrow,
}

/// What happens to columns of a file that the source does not declare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtraColumns {
    /// The file is refused.
    #[default]
    Refuse,
    /// They are left out.
    Ignore,
}

/// What happens when a file that was taken has other content later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenChanged {
    /// It is a new revision: all its rows are events again, known from now on.
    #[default]
    Reread,
    /// It is refused with an alert, and what was taken stays as it is.
    Refuse,
}

/// How text becomes values: for CSV, and for JSON where instants are not RFC 3339.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextForm {
    /// Between the fields of a CSV line.
    pub delimiter: char,
    /// Fields that mean "absent".
    pub null_values: Vec<String>,
    /// Column → how its instants are written: a `strftime` pattern (without offset: UTC), `epoch_s` or `epoch_ms`.
    pub instants: BTreeMap<String, String>,
    /// Columns that the source does not declare.
    pub extra_columns: ExtraColumns,
}

impl Default for TextForm {
    fn default() -> Self {
        Self {
            delimiter: ',',
            null_values: vec![String::new()],
            instants: BTreeMap::new(),
            extra_columns: ExtraColumns::default(),
        }
    }
}

/// Files below a folder or an S3 prefix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesOrigin {
    /// `file:///absolute/folder` or `s3://bucket[/prefix]`.
    pub url: String,
    /// Pattern of the path below `url`, with `*` and `?`; absent: every file whose ending says a format.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Format of all files; absent: by the ending of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<RowFormat>,
    /// Between two looks. A file is taken when it was the same in two looks.
    #[serde(default = "defaults::look_every")]
    pub every: Span,
    /// What happens when a file changes after it was taken.
    #[serde(default)]
    pub changed: WhenChanged,
    /// How text becomes values.
    #[serde(default)]
    pub text: TextForm,
    /// Most bytes of one file, after decompression.
    #[serde(default = "defaults::file_bytes")]
    pub max_bytes: u64,
    /// How the S3 service is reached; ignored for folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Origin>,
}

/// How an S3 service is reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Origin {
    /// Address of the service; absent: AWS.
    pub endpoint: Option<String>,
    /// Region; absent: `us-east-1`.
    pub region: Option<String>,
    /// File with the access key.
    pub access_key_file: Option<String>,
    /// File with the secret key.
    pub secret_key_file: Option<String>,
}

/// Pages of an HTTP interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpOrigin {
    /// The first page, `http://` or `https://`.
    pub url: String,
    /// Between two polls.
    #[serde(default = "defaults::poll_every")]
    pub every: Span,
    /// Format of a body.
    #[serde(default = "defaults::json")]
    pub format: RowFormat,
    /// JSON pointer to the array of rows, such as `/data/items`; absent: the whole body.
    #[serde(default)]
    pub rows: String,
    /// How the next page is found.
    #[serde(default)]
    pub paging: Paging,
    /// Headers that are sent, without secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Secret>,
    /// Most requests a second.
    #[serde(default = "defaults::per_second")]
    pub per_second: f64,
    /// Attempts of one request, with growing pauses between them.
    #[serde(default = "defaults::attempts")]
    pub attempts: u32,
    /// Longest wait for one response, with its body.
    #[serde(default = "defaults::timeout")]
    pub timeout: Span,
    /// Most bytes of one body, after decompression.
    #[serde(default = "defaults::body_bytes")]
    pub max_bytes: u64,
    /// Most pages of one poll.
    #[serde(default = "defaults::pages")]
    pub max_pages: u32,
    /// Addresses or networks inside (loopback, private, link-local) that may be asked: `10.1.0.0/16`.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Under which terms the data may be used; recorded with each snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Whether what the `robots.txt` of a host does not permit is left alone.
    #[serde(default, skip_serializing_if = "RobotsPolicy::is_default")]
    pub robots: RobotsPolicy,
    /// How text becomes values.
    #[serde(default)]
    pub text: TextForm,
}

/// What `robots.txt` means to an origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RobotsPolicy {
    /// What it does not permit is not asked for.
    #[default]
    Honour,
    /// It is not read: the owner of the host has permitted what is asked for.
    Ignore,
}

impl RobotsPolicy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How the next page is found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    /// There is one page.
    #[default]
    None,
    /// The `Link` header with `rel="next"` (RFC 8288).
    Link,
    /// A field of the body holds the cursor of the next page; absent, null or empty: the last one.
    Cursor {
        /// JSON pointer to the cursor.
        field: String,
        /// Query parameter that sends it.
        param: String,
    },
    /// Pages are numbered; one without rows is the last.
    Page {
        /// Query parameter that sends the number.
        param: String,
        /// Number of the first page.
        #[serde(default = "defaults::first_page")]
        first: u64,
    },
}

/// Where a secret is found; exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Secret {
    /// File that holds nothing else.
    pub file: Option<String>,
    /// Environment variable of the ingestion process.
    pub env: Option<String>,
}

/// A table of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresOrigin {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    #[serde(default = "defaults::postgres_port")]
    pub port: u16,
    /// Database.
    pub database: String,
    /// User.
    pub user: String,
    /// Password; absent: the server asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Whether the connection is encrypted, and the server's certificate checked.
    #[serde(default)]
    pub tls: Tls,
    /// File with certificate authorities (PEM) of the server, in addition to the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Table or view: `table` or `schema.table`.
    pub table: String,
    /// Declared column that never falls for new or changed rows: an instant or a whole number.
    pub cursor: String,
    /// How far behind its newest row each poll begins, for transactions that commit late: for a cursor of instants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Span>,
    /// The same for a cursor of whole numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_numbers: Option<u64>,
    /// Between two polls.
    #[serde(default = "defaults::look_every")]
    pub every: Span,
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Encrypted, and the server's certificate must be valid for its name.
    #[default]
    Require,
    /// Plain; the server should be on this machine or in a trusted network.
    Off,
}

impl Origin {
    /// Name of the kind, as in the project file.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Files(_) => "files",
            Self::Http(_) => "http",
            Self::Postgres(_) => "postgres",
        }
    }

    /// Where rows come from, without anything secret.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Files(files) => match &files.pattern {
                Some(pattern) => format!("{}/{pattern}", files.url.trim_end_matches('/')),
                None => files.url.clone(),
            },
            // A query may carry a key in spite of all advice.
            Self::Http(http) => http.url.split(['?', '#']).next().unwrap_or_default().to_owned(),
            Self::Postgres(pg) => format!("{}:{}/{}/{}", pg.host, pg.port, pg.database, pg.table),
        }
    }
}

mod defaults {
    use super::RowFormat;
    use crate::Span;

    pub(super) fn look_every() -> Span {
        Span::from_millis(10_000)
    }
    pub(super) fn poll_every() -> Span {
        Span::hours(1)
    }
    pub(super) fn file_bytes() -> u64 {
        4 << 30
    }
    pub(super) fn body_bytes() -> u64 {
        64 << 20
    }
    pub(super) fn json() -> RowFormat {
        RowFormat::Json
    }
    pub(super) fn per_second() -> f64 {
        5.0
    }
    pub(super) fn attempts() -> u32 {
        6
    }
    pub(super) fn timeout() -> Span {
        Span::from_millis(30_000)
    }
    pub(super) fn pages() -> u32 {
        1_000
    }
    pub(super) fn first_page() -> u64 {
        1
    }
    pub(super) fn postgres_port() -> u16 {
        5_432
    }
}
