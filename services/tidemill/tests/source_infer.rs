//! `tidemill source infer` prints a block that `tidemill project validate` accepts as it stands.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn tidemill(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.args(arguments).current_dir(folder).env("NO_COLOR", "1").output().unwrap()
}

fn answer(folder: &Path, arguments: &[&str]) -> String {
    let output = tidemill(folder, arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&answer(folder, &[arguments, &["-o", "json"]].concat())).unwrap()
}

/// The penguins with a number and an instant each, as the guide makes them.
fn birds(folder: &Path) -> String {
    let text = std::fs::read_to_string(root().join("infra/examples/penguins/data/penguins.csv")).unwrap();
    let mut lines = text.lines();
    let mut birds = format!("penguin,measured_at,{}\n", lines.next().unwrap());
    for (number, line) in (1..).zip(lines) {
        let year = line.split(',').nth(7).unwrap();
        birds.push_str(&format!("{number},{year}-11-15T00:00:00Z,{line}\n"));
    }
    std::fs::write(folder.join("birds.csv"), &birds).unwrap();
    birds
}

/// The example's project with its sources replaced by a block.
fn project(block: &str) -> String {
    let text = std::fs::read_to_string(root().join("infra/examples/penguins/project.yaml")).unwrap();
    let (head, rest) = text.split_once("\nsources:\n").unwrap();
    let (_, tail) = rest.split_once("\nfeatures:\n").unwrap();
    format!("{head}\n{block}\nfeatures:\n{tail}")
}

fn column<'a>(inferred: &'a Value, name: &str) -> &'a Value {
    let columns = inferred["columns"].as_array().unwrap();
    columns.iter().find(|column| column["name"] == name).unwrap_or_else(|| panic!("{name} is not in {inferred}"))
}

#[test]
fn a_block_is_printed_that_a_project_takes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    birds(folder);
    let block = answer(folder, &["source", "infer", "birds.csv", "--name", "penguins"]);
    assert!(block.contains("key: [penguin]\n") && block.contains("event_time: measured_at\n"), "{block}");
    std::fs::write(folder.join("project.yaml"), project(&block)).unwrap();
    answer(folder, &["project", "validate", "project.yaml"]);
    let inferred = json(folder, &["source", "infer", "birds.csv"]);
    assert_eq!((inferred["name"].as_str(), inferred["rows"].as_u64()), (Some("birds"), Some(344)));
    assert_eq!(inferred["whole"], true);
    for (name, kind) in
        [("penguin", "int64"), ("measured_at", "timestamp"), ("species", "string"), ("bill_length_mm", "float64")]
    {
        assert_eq!(column(&inferred, name)["type"], kind, "{name}");
    }
    assert_eq!(column(&inferred, "bill_length_mm")["nulls"], 2);
    assert_eq!(column(&inferred, "penguin")["nulls"], 0);
}

#[test]
fn forms_of_instants_words_for_absent_and_delimiters_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut text = "Station;Zeit;wert;no\n".to_owned();
    for n in 0..200 {
        let wert = if n % 7 == 0 { "NA".to_owned() } else { format!("{n}.5") };
        text.push_str(&format!("S{};{:02}.03.2024 {:02}:00;{wert};00{n}\n", n % 2, 1 + n / 48, n / 2 % 24));
    }
    std::fs::write(folder.join("Messwerte 2024.csv"), text).unwrap();
    let block = answer(folder, &["source", "infer", "Messwerte 2024.csv"]);
    for told in [
        "  messwerte_2024:\n",
        "text: {delimiter: \";\", null_values: [\"\",\"NA\"], instants: {Zeit: \"%d.%m.%Y %H:%M\"}}",
        "event_time: Zeit\n",
        "wert: {type: float64, nullable: true} # empty in 29 of 200",
        "\"no\": {type: string}",
    ] {
        assert!(block.contains(told), "{told:?} is not in\n{block}");
    }
    assert!(block.contains("key: [\"no\"]") || block.contains("key: [Station, Zeit]"), "{block}");
}

#[test]
fn json_lines_and_bad_files_are_looked_at_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let lines: String = (0..50)
        .map(|n| {
            format!("{{\"id\": \"a{n}\", \"ts\": {}, \"ok\": {}, \"tags\": [1]}}\n", 1_700_000_000 + n, n % 2 == 0)
        })
        .collect();
    std::fs::write(folder.join("events.jsonl"), lines).unwrap();
    let inferred = json(folder, &["source", "infer", "events.jsonl", "--rows", "20"]);
    assert_eq!((inferred["rows"].as_u64(), inferred["whole"].as_bool()), (Some(20), Some(false)));
    assert_eq!(column(&inferred, "ts")["instant_form"], "epoch_s");
    assert_eq!(column(&inferred, "ok")["type"], "boolean");
    assert!(column(&inferred, "tags")["remark"].as_str().unwrap().contains("flatten"));
    assert_eq!(inferred["keys"][0]["columns"][0], "id");

    std::fs::write(folder.join("ragged.csv"), "a,b\n1,2\n3\n").unwrap();
    std::fs::write(folder.join("cut.parquet"), b"PAR1").unwrap();
    std::fs::write(folder.join("empty.csv"), "a,b\n").unwrap();
    for (file, code) in [
        ("ragged.csv", "TM1712"),
        ("cut.parquet", "TM1710"),
        ("empty.csv", "TM1714"),
        ("none.csv", "TM1701"),
        ("http://127.0.0.1:1/x.csv", "TM1720"),
        ("notes.txt", "TM1716"),
    ] {
        let output = tidemill(folder, &["source", "infer", file]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(code), "{file}: {told}");
    }
}

/// Whether a project with this block is valid.
fn is_valid(folder: &Path, block: &str) {
    std::fs::write(folder.join("project.yaml"), project(block)).unwrap();
    answer(folder, &["project", "validate", "project.yaml"]);
}

#[test]
fn a_format_that_the_name_does_not_say_stands_in_the_block() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("birds.txt"), birds(folder)).unwrap();
    let block = answer(folder, &["source", "infer", "birds.txt", "--format", "csv", "--name", "penguins"]);
    assert!(block.contains("        match: \"birds.txt\"\n        format: csv\n"), "{block}");
    is_valid(folder, &block);
    let named = answer(folder, &["source", "infer", "birds.csv", "--format", "csv"]);
    assert!(!named.contains("format:"), "{named}");
    let refused = tidemill(folder, &["source", "infer", "birds.txt", "--format", "json"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("TM1716"), "no file of rows is a JSON document");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_inside_of_an_answer_are_found_and_what_is_not_fetched_is_not_promised() {
    let row = |n: u32| format!("{{\"penguin\": {n}, \"measured_at\": \"2007-11-15T00:00:0{n}Z\"}}");
    let body = format!("{{\"page\": {{\"links\": [{{\"rel\": \"next\"}}]}}, \"data\": [{}, {}]}}", row(1), row(2));
    let routes = axum::Router::new()
        .route("/birds", axum::routing::get(move || std::future::ready(body.clone())))
        .route("/birds.parquet", axum::routing::get(|| async { "PAR1" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let asked = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let at = |path: &str| format!("{url}{path}");
        let block = answer(folder, &["source", "infer", &at("/birds"), "--allow", "127.0.0.1", "--name", "penguins"]);
        assert!(block.contains("        format: json\n        rows: \"/data\"\n"), "{block}");
        assert!(block.contains("penguin: {type: int64}") && block.contains("event_time: measured_at"), "{block}");
        let links = ["--allow", "127.0.0.1", "--rows-at", "/page/links"];
        let links = json(folder, &[&["source", "infer", &at("/birds")], &links[..]].concat());
        assert_eq!(links["columns"][0]["name"], "rel");
        for (path, more) in [("/birds.parquet", vec![]), ("/birds", vec!["--format", "arrow"])] {
            let place = at(path);
            let arguments = [vec!["source", "infer", &place, "--allow", "127.0.0.1"], more].concat();
            let refused = String::from_utf8_lossy(&tidemill(folder, &arguments).stderr).into_owned();
            assert!(refused.contains("TM1716") && refused.contains("folder or bucket"), "{refused}");
        }
    });
    asked.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_a_bucket_is_looked_at_with_the_settings_of_the_store() {
    let s3 = tidemill_testkit::S3::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    s3.storage().unwrap().put("inbox/birds.csv", birds(folder)).await.unwrap();
    let options = s3.options();
    let key = |name: &str, text: Option<String>| {
        std::fs::write(folder.join(name), text.unwrap()).unwrap();
        folder.join(name).display().to_string()
    };
    let endpoint = options.endpoint.unwrap();
    let (access, secret) = (key("access", options.access_key_id), key("secret", options.secret_access_key));
    let place = format!("{}/inbox/birds.csv", s3.url());
    let set = [
        "--set".to_owned(),
        format!("store.endpoint={endpoint}"),
        "--set".to_owned(),
        format!("store.access_key_file={access}"),
    ];
    // The last one comes from the environment, as everywhere.
    let output = Command::new(env!("CARGO_BIN_EXE_tidemill"))
        .args(["source", "infer", &place, "--name", "penguins"])
        .args(&set)
        .env("TIDEMILL_STORE__SECRET_KEY_FILE", &secret)
        .current_dir(folder)
        .output()
        .unwrap();
    let block = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let reached = format!("access_key_file: \"{access}\", secret_key_file: \"{secret}\"}}");
    assert!(block.contains(&format!("s3: {{endpoint: \"{endpoint}\"")) && block.contains(&reached), "{block}");
    assert!(block.contains("match: \"birds.csv\"") && block.contains("key: [penguin]"), "{block}");
    is_valid(folder, &block);
}
