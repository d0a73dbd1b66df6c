//! The API reference: made from the descriptors of proto/ and from proto/openapi.yaml, never written by hand.
//!
//! `TIDEMILL_UPDATE=1 cargo test -p tidemill --test documents the_api_reference` writes it anew.

use crate::markdown::{read, root};
use crate::python;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const FILE: &str = "infra/docs/api.md";
const HEAD: &str = "\
# API reference

Made from `proto/` and `proto/openapi.yaml` by a test, which fails when this page is behind
(`TIDEMILL_UPDATE=1 cargo test -p tidemill --test documents the_api_reference` writes it anew). What crosses the bus:
[contracts](contracts.md). Every gRPC service offers health; serving offers reflection too. An error is a status with the
metadata `tm-code` (`TMnnnn`, explained in [errors](errors.md)) and `tm-retryable`.

";

/// Comments by the path of what they stand above.
struct Comments(HashMap<Vec<i32>, String>);

impl Comments {
    fn of(file: &FileDescriptorProto) -> Self {
        let info = file.source_code_info.clone().unwrap_or_default();
        let text = |comment: &str| comment.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned();
        let found = info.location.into_iter().filter_map(|l| Some((l.path, text(l.leading_comments.as_deref()?))));
        Self(found.collect())
    }

    /// The comment, which must exist: an undocumented thing fails the test.
    fn at(&self, path: &[i32], name: &str) -> String {
        let found = self.0.get(path).filter(|text| !text.is_empty());
        found.unwrap_or_else(|| panic!("{name} has no comment in proto/")).clone()
    }

    /// As a cell of a table.
    fn cell(&self, path: &[i32], name: &str) -> String {
        self.at(path, name).replace('\n', " ").replace('|', "\\|")
    }
}

fn short(type_name: &str) -> &str {
    type_name.rsplit('.').next().unwrap_or(type_name)
}

fn link(type_name: &str) -> String {
    format!("[{}](#{})", short(type_name), anchor(type_name))
}

fn anchor(type_name: &str) -> String {
    type_name.trim_start_matches('.').replace('.', "-").to_lowercase()
}

fn type_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let name = field.type_name();
    let entry = message
        .nested_type
        .iter()
        .find(|nested| nested.options.as_ref().is_some_and(|o| o.map_entry()) && nested.name() == short(name));
    if let Some(entry) = entry {
        return format!("map of {} to {}", scalar(&entry.field[0]), scalar(&entry.field[1]));
    }
    match field.label() {
        Label::Repeated => format!("list of {}", scalar(field)),
        _ => scalar(field),
    }
}

fn scalar(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum => link(field.type_name()),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn message(out: &mut String, comments: &Comments, scope: &str, path: &[i32], message: &DescriptorProto) {
    if message.options.as_ref().is_some_and(|o| o.map_entry()) {
        return;
    }
    let full = format!("{scope}.{}", message.name());
    let said = comments.at(path, &full);
    let _ = write!(out, "\n#### <a id=\"{}\"></a>{}\n{said}\n", anchor(&full), message.name());
    if !message.field.is_empty() {
        out.push_str("\n| no. | field | type | what |\n|---|---|---|---|\n");
    }
    for (at, field) in (0..).zip(&message.field) {
        let what = comments.cell(&[path, &[2, at]].concat(), &format!("{full}.{}", field.name()));
        let one_of = field.oneof_index.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
        let one_of = one_of.map(|o| format!(" (one of `{}`)", o.name())).unwrap_or_default();
        let kind = type_of(message, field);
        let _ = writeln!(out, "| {} | `{}` | {kind}{one_of} | {what} |", field.number(), field.name());
    }
    for (at, nested) in (0..).zip(&message.nested_type) {
        self::message(out, comments, &full, &[path, &[3, at]].concat(), nested);
    }
}

fn package(out: &mut String, file: &FileDescriptorProto) {
    let comments = Comments::of(file);
    let scope = file.package();
    let _ = write!(out, "\n## {scope}\n{}\n", comments.at(&[12], file.name()));
    for (at, service) in (0..).zip(&file.service) {
        let said = comments.at(&[6, at], service.name());
        let _ = write!(out, "\n### {}\n{said}\n\n| call | answers | what |\n|---|---|---|\n", service.name());
        for (which, method) in (0..).zip(&service.method) {
            let what = comments.cell(&[6, at, 2, which], method.name());
            let (asked, answered) = (link(method.input_type()), link(method.output_type()));
            let _ = writeln!(out, "| `{}`({asked}) | {answered} | {what} |", method.name());
        }
    }
    for (at, found) in (0..).zip(&file.message_type) {
        message(out, &comments, scope, &[4, at], found);
    }
}

fn over_http() -> String {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let interpreter = python::environment("documents", &tests.join("documents.requirements.txt")).unwrap();
    let script = tests.join("documents/openapi.py");
    let output =
        Command::new(interpreter).arg(script).arg(root().join("proto/openapi.yaml")).arg("reference").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_api_reference_is_what_proto_and_openapi_say() {
    let set = FileDescriptorSet::decode(tidemill_contracts::DESCRIPTORS).unwrap();
    let mut made = HEAD.to_owned();
    made.push_str("## HTTP\n");
    made.push_str(&over_http());
    for file in &set.file {
        package(&mut made, file);
    }
    if std::env::var_os("TIDEMILL_UPDATE").is_some() {
        std::fs::write(root().join(FILE), &made).unwrap();
    }
    let kept = read(FILE);
    let differs = kept.lines().zip(made.lines()).find(|(kept, made)| kept != made);
    assert!(kept == made, "{FILE} is behind proto/: see the head of {FILE}; first difference: {differs:?}");
}
