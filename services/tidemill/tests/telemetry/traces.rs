//! Traces as rotel prints them, and the list of spans that the manual promises.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A span that was received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for a root.
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) service: String,
    /// Ids of linked spans.
    pub(crate) links: Vec<String>,
}

/// Every span in what rotel printed.
pub(crate) fn read(log: &Path) -> Vec<Seen> {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    let mut seen: Vec<Seen> = Vec::new();
    let (mut service, mut in_link) = (String::new(), false);
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("ResourceSpans #") {
            service.clear();
        }
        if let Some(name) = line.strip_prefix("-> service.name: Str(") {
            name.trim_end_matches(')').clone_into(&mut service);
        }
        if line.starts_with("Span #") {
            seen.push(Seen { service: service.clone(), ..Seen::default() });
            in_link = false;
        }
        in_link |= line.starts_with("SpanLink #");
        let Some(span) = seen.last_mut() else { continue };
        if let Some(id) = line.strip_prefix("-> ID: ").filter(|_| in_link) {
            span.links.push(id.to_owned());
        }
        let Some((key, value)) = line.split_once(':').filter(|_| !line.starts_with("->")) else { continue };
        let field = match key.trim() {
            "Trace ID" => &mut span.trace,
            "Parent ID" => &mut span.parent,
            "ID" => &mut span.id,
            "Name" => &mut span.name,
            "Kind" => &mut span.kind,
            _ => continue,
        };
        // Names of events come later under the same word.
        if field.is_empty() {
            value.trim().clone_into(field);
        }
    }
    // The last one may not be written to its end yet.
    seen.retain(|span| !span.kind.is_empty());
    for span in &mut seen {
        span.kind = span.kind.trim_start_matches("SPAN_KIND_").to_lowercase();
        span.parent = Some(span.parent.clone()).filter(|id| id.bytes().any(|b| b != b'0')).unwrap_or_default();
    }
    seen
}

/// The spans of one trace.
pub(crate) struct Trace<'s>(Vec<&'s Seen>);

impl<'s> Trace<'s> {
    pub(crate) fn of(seen: &'s [Seen], id: &str) -> Self {
        Self(seen.iter().filter(|span| span.trace == id).collect())
    }

    /// As lines `name [role]`, indented below the parent; siblings by name, equal subtrees once.
    pub(crate) fn shape(&self) -> String {
        let known: BTreeSet<&str> = self.0.iter().map(|span| span.id.as_str()).collect();
        let tops = self.0.iter().filter(|span| !known.contains(span.parent.as_str()));
        let trees: BTreeSet<String> = tops.map(|span| self.tree(span, 0)).collect();
        trees.into_iter().collect()
    }

    fn tree(&self, span: &Seen, depth: usize) -> String {
        let role = span.service.strip_prefix("tidemill-").unwrap_or("tidemill");
        let children = self.0.iter().filter(|child| child.parent == span.id);
        let below: BTreeSet<String> = children.map(|child| self.tree(child, depth + 1)).collect();
        let own = format!("{}{} [{role}]\n", "  ".repeat(depth), span.name);
        std::iter::once(own).chain(below).collect()
    }
}

/// Name, role and kind of a span.
pub(crate) type Row = (String, String, String);

/// What the manual says about traces.
pub(crate) struct Promise {
    text: String,
}

impl Promise {
    pub(crate) fn read(root: &Path) -> Self {
        Self { text: std::fs::read_to_string(root.join("infra/docs/traces.md")).unwrap() }
    }

    /// Rows of the table of spans as name, role, kind: all of them, and those without brackets, which are always seen.
    pub(crate) fn spans(&self) -> (BTreeSet<Row>, BTreeSet<Row>) {
        let (mut all, mut always) = (BTreeSet::new(), BTreeSet::new());
        for row in self.text.lines().filter_map(|line| line.strip_prefix("| `")) {
            let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            for role in cells[1].split(", ") {
                let bare = role.trim_matches(['(', ')']);
                let row = (cells[0].to_owned(), bare.to_owned(), cells[2].to_owned());
                if bare == role {
                    always.insert(row.clone());
                }
                all.insert(row);
            }
        }
        (all, always)
    }

    /// The drawing below a heading, without its fence.
    pub(crate) fn shape(&self, heading: &str) -> String {
        let from = self.text.split_once(&format!("## {heading}\n")).unwrap().1;
        let drawn = from.split_once("```text\n").unwrap().1.split_once("```").unwrap().0;
        drawn.to_owned()
    }
}

/// Traces by a predicate on one of their spans.
pub(crate) fn traces_with<'s>(seen: &'s [Seen], name: &str) -> BTreeMap<&'s str, Trace<'s>> {
    let ids = seen.iter().filter(|span| span.name == name).map(|span| span.trace.as_str());
    ids.map(|id| (id, Trace::of(seen, id))).collect()
}
