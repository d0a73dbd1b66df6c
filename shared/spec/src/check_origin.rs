//! What the types of an origin cannot say.

use crate::model::Source;
use crate::origin::{FilesOrigin, HttpOrigin, Origin, Paging, PostgresOrigin, RowFormat, Secret, TextForm};
use arrow::datatypes::DataType;
use std::net::IpAddr;

/// A problem: path below the source, what is wrong, how to mend it.
pub(crate) type Found = (String, String, Option<String>);

struct Problems<'a> {
    source: &'a Source,
    found: Vec<Found>,
}

/// Everything that does not make sense in where a source is fetched from.
pub(crate) fn problems(source: &Source) -> Vec<Found> {
    let mut problems = Problems { source, found: Vec::new() };
    match &source.from {
        None => {}
        Some(Origin::Files(files)) => problems.files(files),
        Some(Origin::Http(http)) => problems.http(http),
        Some(Origin::Postgres(postgres)) => problems.postgres(postgres),
    }
    problems.found
}

impl Problems<'_> {
    fn require(&mut self, holds: bool, path: &str, message: &str) {
        if !holds {
            self.found.push((path.to_owned(), message.to_owned(), None));
        }
    }

    fn column(&mut self, path: &str, name: &str) -> Option<DataType> {
        let column = self.source.columns.get(name).map(|column| column.kind.arrow());
        if column.is_none() {
            let known = self.source.columns.keys().map(String::as_str);
            let mend = crate::parse::nearest(name, known);
            self.found.push((path.to_owned(), format!("there is no column \"{name}\""), mend));
        }
        column
    }

    fn files(&mut self, files: &FilesOrigin) {
        let known = files.url.starts_with("file:///") || files.url.starts_with("s3://");
        self.require(known, "from.files.url", "must be file:///absolute/folder or s3://bucket[/prefix]");
        self.require(files.every.millis() > 0, "from.files.every", "must be longer than zero");
        self.require(files.max_bytes > 0, "from.files.max_bytes", "must be at least 1");
        let json = files.format == Some(RowFormat::Json);
        self.require(!json, "from.files.format", "a file of rows is csv, jsonl, parquet or arrow");
        self.text("from.files.text", &files.text);
        if let Some(s3) = &files.s3 {
            let both = s3.access_key_file.is_some() == s3.secret_key_file.is_some();
            self.require(both, "from.files.s3", "access_key_file and secret_key_file belong together");
        }
    }

    fn http(&mut self, http: &HttpOrigin) {
        let known = http.url.starts_with("http://") || http.url.starts_with("https://");
        self.require(known, "from.http.url", "must be an http:// or https:// address");
        let rest = http.url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        self.require(!authority.contains('@'), "from.http.url", "must hold no user or password: name them by bearer");
        self.require(http.every.millis() > 0, "from.http.every", "must be longer than zero");
        let pace = http.per_second > 0.0 && http.per_second.is_finite();
        self.require(pace, "from.http.per_second", "must be above zero");
        self.require((1..=20).contains(&http.attempts), "from.http.attempts", "must lie in 1 to 20");
        self.require(http.timeout.millis() > 0, "from.http.timeout", "must be longer than zero");
        self.require(http.max_bytes > 0, "from.http.max_bytes", "must be at least 1");
        self.require(http.max_pages > 0, "from.http.max_pages", "must be at least 1");
        let binary = matches!(http.format, RowFormat::Parquet | RowFormat::Arrow);
        self.require(!binary, "from.http.format", "a body of rows is json, jsonl or csv");
        let pointer = |text: &str| text.is_empty() || text.starts_with('/');
        self.require(pointer(&http.rows), "from.http.rows", "must be a JSON pointer, such as /data/items");
        if let Paging::Cursor { field, .. } = &http.paging {
            self.require(pointer(field), "from.http.paging.cursor.field", "must be a JSON pointer, such as /next");
            let json = http.format == RowFormat::Json;
            self.require(json, "from.http.paging", "a cursor in the body needs the format json");
        }
        for network in &http.allow {
            let message = format!("\"{network}\" is no address or network, such as 127.0.0.1 or 10.1.0.0/16");
            self.require(is_network(network), "from.http.allow", &message);
        }
        let secret = http.headers.keys().find(|name| {
            ["authorization", "proxy-authorization", "cookie", "x-api-key"]
                .contains(&name.to_ascii_lowercase().as_str())
        });
        if let Some(name) = secret {
            let message = format!("the header \"{name}\" carries a secret, which a project file must not hold");
            let mend = Some("name the file or variable of a token by bearer".to_owned());
            self.found.push(("from.http.headers".to_owned(), message, mend));
        }
        if let Some(bearer) = &http.bearer {
            self.secret("from.http.bearer", bearer);
        }
        self.text("from.http.text", &http.text);
    }

    fn postgres(&mut self, postgres: &PostgresOrigin) {
        let path = "from.postgres";
        self.require(postgres.every.millis() > 0, &format!("{path}.every"), "must be longer than zero");
        let plain = postgres.table.split('.').all(|part| !part.is_empty()) && postgres.table.split('.').count() <= 2;
        self.require(plain, &format!("{path}.table"), "must be table or schema.table");
        if let Some(password) = &postgres.password {
            self.secret(&format!("{path}.password"), password);
        }
        let (overlap, numbers) = (format!("{path}.overlap"), format!("{path}.overlap_numbers"));
        match self.column(&format!("{path}.cursor"), &postgres.cursor) {
            None => {}
            Some(DataType::Timestamp(_, _)) => {
                self.require(postgres.overlap_numbers.is_none(), &numbers, "the cursor holds instants: use overlap");
            }
            Some(DataType::Int16 | DataType::Int32 | DataType::Int64) => {
                let message = "the cursor holds whole numbers: use overlap_numbers";
                self.require(postgres.overlap.is_none(), &overlap, message);
            }
            Some(other) => {
                let message = format!("the cursor must be a timestamp or a whole number, not {other}");
                self.found.push((format!("{path}.cursor"), message, None));
            }
        }
        let required = self.source.columns.get(&postgres.cursor).is_none_or(|column| !column.nullable);
        self.require(required, &format!("{path}.cursor"), "the column must not be nullable");
        for key in &self.source.key {
            let nullable = self.source.columns.get(key).is_some_and(|column| column.nullable);
            self.require(!nullable, "key", "key columns of a fetched table must not be nullable");
        }
    }

    fn secret(&mut self, path: &str, secret: &Secret) {
        let one = secret.file.is_some() != secret.env.is_some();
        self.require(one, path, "name exactly one of file and env");
    }

    fn text(&mut self, path: &str, text: &TextForm) {
        let sound = text.delimiter.is_ascii() && !matches!(text.delimiter, '"' | '\n' | '\r');
        self.require(sound, &format!("{path}.delimiter"), "must be one ASCII character other than a quote");
        for name in text.instants.keys() {
            let path = format!("{path}.instants");
            let kind = self.column(&path, name);
            let instant = kind.is_none_or(|kind| matches!(kind, DataType::Timestamp(_, _)));
            self.require(instant, &path, &format!("the column \"{name}\" is not of type timestamp"));
        }
    }
}

/// `10.0.0.1`, `10.0.0.0/8`, `::1`, `fd00::/8`.
fn is_network(text: &str) -> bool {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.is_empty() && !text.contains('/') || length.parse::<u8>().is_ok_and(|length| length <= most)
}

#[cfg(test)]
mod tests {
    use crate::Spec;

    const METERS: &str = include_str!("../../../infra/examples/penguins/project.yaml");

    fn with(from: &str) -> Result<Spec, crate::SpecError> {
        let text = METERS.replacen("    event_time:", &format!("    from: {from}\n    event_time:"), 1);
        assert_ne!(text, METERS, "the example has changed its layout");
        Spec::parse(&text)
    }

    fn paths(from: &str) -> Vec<String> {
        let error = with(from).unwrap_err();
        error.problems().iter().map(|problem| problem.path.clone()).collect()
    }

    #[test]
    fn each_kind_of_origin_is_read_with_its_defaults() {
        let spec = with("{files: {url: \"file:///inbox\", match: \"*.csv\"}}").unwrap_or_else(|e| panic!("{e}"));
        let source = spec.sources.values().next().unwrap();
        let from = source.from.as_ref().unwrap();
        assert_eq!((from.kind(), from.place().as_str()), ("files", "file:///inbox/*.csv"));
        let http =
            with("{http: {url: \"https://h.test/x?key=1\", paging: {cursor: {field: /next, param: c}}}}").unwrap();
        assert_eq!(http.sources.values().next().unwrap().from.as_ref().unwrap().place(), "https://h.test/x");
        assert!(with("{http: {url: \"https://h.test/x\", paging: link}}").is_ok());
        let postgres =
            "{postgres: {host: db, database: d, user: u, password: {env: P}, table: t, cursor: measured_at}}";
        assert!(with(postgres).is_ok());
        assert_eq!(Spec::parse(METERS).unwrap().digest(), Spec::parse(&format!("{METERS}\n")).unwrap().digest());
    }

    #[test]
    fn an_unknown_key_of_an_origin_is_refused_with_a_suggestion() {
        let error = with("{files: {url: \"file:///inbox\", formt: csv}}").unwrap_err();
        assert_eq!(error.problems()[0].mend.as_deref(), Some("did you mean \"format\"?"), "{error}");
        assert!(with("{filez: {url: \"file:///inbox\"}}").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_path() {
        let source = "sources.penguins.from";
        assert_eq!(paths("{files: {url: \"ftp://x\"}}"), [format!("{source}.files.url")]);
        assert_eq!(paths("{http: {url: \"http://u:p@h/\"}}"), [format!("{source}.http.url")]);
        assert_eq!(paths("{http: {url: \"http://h/\", allow: [10/8]}}"), [format!("{source}.http.allow")]);
        assert_eq!(paths("{http: {url: \"http://h/\", bearer: {}}}"), [format!("{source}.http.bearer")]);
        assert_eq!(
            paths("{http: {url: \"http://h/\", headers: {Authorization: x}}}"),
            [format!("{source}.http.headers")]
        );
        let postgres = |rest: &str| format!("{{postgres: {{host: h, database: d, user: u, table: t, {rest}}}}}");
        assert_eq!(paths(&postgres("cursor: measured_a")), [format!("{source}.postgres.cursor")]);
        assert_eq!(paths(&postgres("cursor: species")), [format!("{source}.postgres.cursor")]);
        assert_eq!(
            paths(&postgres("cursor: measured_at, overlap_numbers: 5")),
            [format!("{source}.postgres.overlap_numbers")]
        );
    }
}
