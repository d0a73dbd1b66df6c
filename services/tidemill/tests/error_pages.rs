//! Every error code has one page, every page a code, and the index in `infra/docs/errors.md` is made from the pages.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p tidemill --test error_pages` writes the index anew.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Codes above are none of ours: `Code` is also the name of other people's types.
const LAST: u16 = 2_000;

const HEAD: &str = "\
# Error codes

Every error of Tidemill has a code, and every code a page with cause, remedy and example: `tidemill explain TM0403`
shows it. On the command line the code stands before the text. Over HTTP it is the field `code` of an
`application/problem+json` body, whose `type` is `urn:tidemill:error:TMnnnn` and whose `help` is the command above; over
gRPC it is the metadata `tm-code`, and the `reason` of `google.rpc.ErrorInfo` in the details. `retryable` and
`tm-retryable` say whether the same call may succeed later without anybody changing anything.

This index is made from the pages in [errors](errors) by a test.
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn explain(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.arg("explain").args(arguments).current_dir(folder.path()).env("NO_COLOR", "1").output().unwrap()
}

fn pages() -> Vec<Value> {
    let output = explain(&["-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Numbers that follow `before` and are followed by something that `ends` takes.
fn numbers(text: &str, before: &str, ends: fn(char) -> bool) -> Vec<u16> {
    let follow = text.match_indices(before).filter_map(|(at, _)| {
        let rest = &text[at + before.len()..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[digits..].starts_with(ends).then(|| rest[..digits].parse().ok()).flatten()
    });
    follow.filter(|code| *code < LAST).collect()
}

/// The codes of a file: `Code(403)`, `"TM0403"`, and the arms of `fn code(&self)`.
fn codes(text: &str) -> BTreeSet<u16> {
    // What tests invent is no code.
    let text = text.split("#[cfg(test)]").next().unwrap();
    let mut found: BTreeSet<u16> = numbers(text, "Code(", |c| c == ')').into_iter().collect();
    found.extend(numbers(text, "\"TM", |c| c == '"'));
    for block in text.split("fn code(&self)").skip(1) {
        let block = block.split("\n    }\n").next().unwrap();
        found.extend(numbers(block, "=> ", |c| c == ','));
        found.extend(numbers(block, "unwrap_or(", |c| c == ')'));
    }
    found
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let mut files = Vec::new();
    for layer in ["shared", "services"] {
        for entry in std::fs::read_dir(root().join(layer)).unwrap() {
            let source = entry.unwrap().path().join("src");
            if source.is_dir() {
                sources(&source, &mut files);
            }
        }
    }
    let found: BTreeSet<u16> = files.iter().flat_map(|file| codes(&std::fs::read_to_string(file).unwrap())).collect();
    assert!(found.len() > 150, "the codes were not found: {found:?}");
    let named: BTreeSet<u16> =
        pages().iter().map(|page| page["code"].as_str().unwrap().trim_start_matches("TM").parse().unwrap()).collect();
    let without_page: Vec<_> = found.difference(&named).collect();
    assert!(without_page.is_empty(), "write pages in infra/docs/errors for {without_page:?}");
    let without_code: Vec<_> = named.difference(&found).collect();
    assert!(without_code.is_empty(), "no error has these codes any more: {without_code:?}");
}

#[test]
fn codes_are_found_however_they_are_written() {
    let text = "Code(403) \"TM0404\" fn code(&self) -> Code {\n Code(match self { A => 405, B(e) => return e.code(), })\n    }\n";
    assert_eq!(codes(text), BTreeSet::from([403, 404, 405]));
    assert_eq!(codes("StatusCode(x) Code(4030) #[cfg(test)] Code(7)"), BTreeSet::new());
}

/// How a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

/// The file that holds the page of an area.
fn file_of(area: &str) -> String {
    let folder = root().join("infra/docs/errors");
    let head = format!("# {area}\n");
    let mut names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let path = names.find(|path| std::fs::read_to_string(path).unwrap().starts_with(&head)).unwrap();
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn index(pages: &[Value]) -> String {
    let mut text = HEAD.to_owned();
    let (mut area, mut file) = ("", String::new());
    for page in pages {
        let of = |key: &str| page[key].as_str().unwrap();
        if of("area") != area {
            area = of("area");
            file = file_of(area);
            text.push_str(&format!("\n## {area}\n\n| code | what |\n|---|---|\n"));
        }
        let (code, title) = (of("code"), of("title"));
        text.push_str(&format!("| [{code}](errors/{file}#{}) | {title} |\n", anchor(&format!("{code}: {title}"))));
    }
    text
}

#[test]
fn the_index_is_made_from_the_pages() {
    let wanted = index(&pages());
    let path = root().join("infra/docs/errors.md");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == wanted, "errors.md is not the index of the pages: UPDATE_SNAPSHOTS=1 writes it anew");
}

#[test]
fn a_page_is_shown_and_a_wrong_code_is_answered_with_near_ones() {
    let output = explain(&["TM0403"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text.starts_with("TM0403  ") && text.contains("\nRemedy\n") && text.contains("heads"), "{text}");

    let output = explain(&["403", "-o", "json"]);
    let page: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(page["code"], "TM0403");

    let output = explain(&["TM0409"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.starts_with("TM1514: ") && text.contains("TM0407"), "{text}");

    let output = explain(&["what"]);
    assert_eq!(output.status.code(), Some(2));
}
