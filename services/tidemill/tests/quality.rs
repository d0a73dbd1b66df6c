//! Rules on bare files: verdicts and exit codes, proposals, data contracts, and the same counts as other tools.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[expect(unreachable_pub, reason = "the test tiers export it from their library")]
#[path = "../../../tests/src/python.rs"]
mod python;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use tidemill_spec::{Rule, Spec, read_yaml};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn data(name: &str) -> String {
    root().join("tests/data").join(name).display().to_string()
}

fn tidemill(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.args(arguments).current_dir(folder).env("NO_COLOR", "1").output().unwrap()
}

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn written(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn peers(arguments: &[&str]) -> Value {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let python = python::environment("quality", &tests.join("quality.requirements.txt")).unwrap();
    let output = Command::new(python).arg(tests.join("quality_peers.py")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_file_is_judged_and_a_blocking_rule_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let rows = written(
        &folder,
        "rows.csv",
        "id,at,code,amount\n1,2013-01-01T00:00:00Z,A,1.5\n2,2013-01-02T00:00:00Z,b,-2\n2,2013-01-03T00:00:00Z,A,\n",
    );
    let list = written(
        &folder,
        "rules.yaml",
        "# as proposed\n- {id: once, unique: [id], on_fail: quarantine}\n- {id: sane, range: {column: amount, min: 0}}\n\
         - {id: order, columns: {names: [id, at, code, amount], ordered: true, only: true}, on_fail: block}\n\
         - {id: past, not_in_future: {column: at}}\n",
    );
    let output = tidemill(folder.path(), &["quality", "check", &rows, "--rules", &list, "-o", "json"]);
    let found = answer(&output);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((&found["rows"], &found["accepted"], &found["blocked"]), (&json!(3), &json!(2), &Value::Null));
    let states: Vec<_> = found["rules"].as_array().unwrap().iter().map(|r| r["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["failed", "failed", "passed", "not judged"], "{found}");
    let sample: Value = serde_json::from_str(found["rules"][1]["samples"][0].as_str().unwrap()).unwrap();
    assert_eq!(sample["amount"], -2.0);

    let known = ["quality", "check", &rows, "--rules", &list, "--known-at", "2013-01-02", "-o", "json"];
    assert_eq!(answer(&tidemill(folder.path(), &known))["rules"][3]["failed"], 1);

    let block = written(
        &folder,
        "block.yaml",
        "quality:\n  rows:\n    - {id: sane, range: {column: amount, min: 0}, on_fail: block}\n",
    );
    let output = tidemill(folder.path(), &["quality", "check", &rows, "--rules", &block]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stdout).unwrap().contains("amount from 0 to"), "the rule is shown in words");

    let wrong = written(&folder, "wrong.yaml", "- {id: sane, rnge: {column: amount, min: 0}}\n");
    let output = tidemill(folder.path(), &["quality", "check", &rows, "--rules", &wrong]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("did you mean \"range\"?"), "{text}");
}

#[test]
fn known_faults_of_real_files_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let judged = |file: &str, rules: &str| -> Vec<u64> {
        let rules = written(&folder, "rules.yaml", rules);
        let output = tidemill(folder.path(), &["quality", "check", &data(file), "--rules", &rules, "-o", "json"]);
        answer(&output)["rules"].as_array().unwrap().iter().map(|r| r["failed"].as_u64().unwrap()).collect()
    };
    let traffic = "
- {id: kelvin, range: {column: temp, min: 200, max: 330}}
- {id: rain, range: {column: rain_1h, max: 400}}
- {id: once, unique: [date_time]}
- {id: whole, unique: [date_time, temp, rain_1h, snow_1h, clouds_all, weather_main, weather_description, traffic_volume, split]}
- {id: gaps, seasonal: {season: day_of_week}}";
    assert_eq!(judged("traffic_volume.parquet", traffic), [10, 1, 7_629, 17, 1]);
    let adult = "
- {id: work, not_null: workclass}
- {id: occupation, not_null: occupation}
- {id: country, not_null: native_country}";
    assert_eq!(judged("adult.parquet", adult).iter().sum::<u64>(), 6_465);
    let credit = "
- {id: education, in_set: {column: education, values: [1, 2, 3, 4]}}
- {id: marriage, in_set: {column: marriage, values: [1, 2, 3]}}";
    assert_eq!(judged("credit_default.parquet", credit), [345, 54]);
    let persons =
        "- {id: once, unique: [person_key]}\n- {id: birth, date_format: {column: date_of_birth, format: \"%Y%m%d\"}}";
    let found = judged("febrl_persons.parquet", persons);
    assert_eq!(found[0], 5_000);
    assert!(found[1] > 0, "typing errors make days that no calendar has");
}

#[test]
fn verdicts_on_persons_tell_of_none_unless_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let row = |n: u32| format!("{n},2013-01-01T00:{n:02}:00Z,anna{n}@example.org,4917012345{n:02},-{n}\n");
    let text: String = (10..60).map(row).collect();
    let rows = written(&folder, "rows.csv", &format!("n,at,mail,phone,amount\n{text}"));
    let list = written(
        &folder,
        "rules.yaml",
        "- {id: sane, range: {column: amount, min: 0}}\n- {id: middle, median: {column: phone, max: 1}}\n\
         - {id: cheap, median: {column: amount, max: -90}}\n- {id: form, regex: {column: mail, pattern: \"^x\"}}\n",
    );
    let check = ["quality", "check", &rows, "--rules", &list, "-o", "json"];
    let found = answer(&tidemill(folder.path(), &check));
    let text = found.to_string();
    assert!(!text.contains("anna1") && !text.contains("49170"), "{text}");
    assert!(text.contains("a***@***.org") && found["rules"][1]["observed"] == "***", "{text}");
    assert!(found["rules"][2]["observed"].as_str().unwrap().contains('3'), "what is nobody's is told: {text}");
    let text = answer(&tidemill(folder.path(), &[&check[..], &["--unmask"]].concat())).to_string();
    assert!(text.contains("anna10@example.org") && text.contains("49170"), "{text}");

    // What the project declares counts, whatever it looks like.
    let meters = std::fs::read_to_string(data("meters.yaml")).unwrap();
    let meters = meters.replace("meter: {type: string}", "meter: {type: string, pii: person_name}");
    let project = written(&folder, "project.yaml", &meters);
    let rows = written(&folder, "readings.csv", "n,at,meter,value\n1,2013-01-01T00:00:00Z,meter-seven,5000\n");
    let about = ["--project", &project, "--source", "readings"];
    let check = [&["quality", "check", &rows, "--rules", &project, "-o", "json"][..], &about].concat();
    let text = answer(&tidemill(folder.path(), &check)).to_string();
    assert!(text.contains("m***") && !text.contains("seven"), "{text}");
}

#[test]
fn no_rule_is_proposed_that_has_values_of_persons_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = tidemill(folder.path(), &["quality", "suggest", &data("febrl_persons.parquet"), "-o", "json"]);
    let remarks = String::from_utf8_lossy(&output.stderr).into_owned();
    let named = remarks.lines().find_map(|line| line.split_once("no rule with their values is proposed: "));
    let personal: Vec<&str> = named.unwrap_or_else(|| panic!("{remarks}")).1.split(", ").collect();
    assert!(personal.contains(&"given_name") && personal.contains(&"surname"), "{personal:?}");
    for proposal in answer(&output).as_array().unwrap() {
        let (kind, asked) = (proposal["kind"].as_str().unwrap(), &proposal["definition"]);
        let of_persons = personal.iter().any(|column| asked[kind]["column"] == **column);
        let has_values = ["in_set", "range", "date_range", "mean", "distribution"].contains(&kind);
        assert!(!(of_persons && has_values), "{proposal}");
    }
}

#[test]
fn proposals_name_their_false_alarms_and_can_be_used_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = data("adult.parquet");
    let output = tidemill(folder.path(), &["quality", "suggest", &file, "-o", "json"]);
    let found = answer(&output);
    let found = found.as_array().unwrap();
    let by_name = |name: &str| found.iter().find(|p| p["rule"] == name);
    assert!(found.len() > 20, "{}", found.len());
    for proposal in found {
        let (rate, at_most) = (proposal["rate"].as_f64().unwrap(), proposal["at_most"].as_f64().unwrap());
        assert!(rate <= 0.01 && rate <= at_most && at_most <= 1.0, "{proposal}");
        assert!(proposal["tested"].as_u64().unwrap() > 0, "{proposal}");
        assert!(read_yaml::<Rule>(proposal["yaml"].as_str().unwrap()).is_ok(), "{proposal}");
    }
    let sex = by_name("sex-in-set").unwrap();
    assert_eq!(sex["definition"]["in_set"]["values"], json!(["Female", "Male"]));
    assert!(sex["at_most"].as_f64().unwrap() < 0.001, "{sex}");
    assert!(by_name("workclass-not-null").is_none() && by_name("workclass-null-share").is_some());
    assert!(
        by_name("education-determines-education-num").is_some()
            || by_name("education-num-determines-education").is_some()
    );

    let small = tidemill(folder.path(), &["quality", "suggest", &file, "--commit-rows", "200", "-o", "json"]);
    let small = answer(&small);
    let share = small.as_array().unwrap().iter().find(|p| p["rule"] == "workclass-null-share").unwrap();
    let limit = |proposal: &Value| proposal["definition"]["null_share"]["max"].as_f64().unwrap();
    assert!(limit(share) > limit(by_name("workclass-null-share").unwrap()), "small commits scatter more: {share}");
    assert!(share["unit"] == "commits" && share["tested"].as_u64().unwrap() > 100, "{share}");

    let output = tidemill(folder.path(), &["quality", "suggest", &file, "--source", "people"]);
    let block = String::from_utf8(output.stdout).unwrap();
    assert!(block.contains("quality:\n  people:\n") && block.contains("# false alarms: "), "{block}");
    let rules = written(&folder, "proposed.yaml", &block);
    let output = tidemill(folder.path(), &["quality", "check", &file, "--rules", &rules, "-o", "json"]);
    let judged = answer(&output);
    assert_eq!(output.status.code(), Some(0));
    for rule in judged["rules"].as_array().unwrap() {
        assert_eq!(rule["failed"], 0, "{rule}");
    }
}

#[test]
fn a_contract_is_valid_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let project = root().join("infra/examples/flights/project.yaml");
    let output = tidemill(folder.path(), &["quality", "contract", "export", &project.display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let file = written(&folder, "flights.odcs.yaml", &String::from_utf8(output.stdout).unwrap());

    let checked = peers(&["contract", &file]);
    assert_eq!(checked["errors"], json!([]), "{checked}");
    assert_eq!(checked["title"], "Open Data Contract Standard (ODCS)");
    assert_eq!(checked["objects"], json!(["departures", "outcomes", "schedules", "weather"]));

    let output = tidemill(folder.path(), &["quality", "contract", "import", &file, "-o", "json"]);
    let back = answer(&output);
    let spec = Spec::parse(&std::fs::read_to_string(&project).unwrap()).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(back["not_taken"], json!([]));
    assert_eq!(back["sources"], serde_json::to_value(&spec.sources).unwrap());
    assert_eq!(back["quality"], serde_json::to_value(&spec.quality).unwrap());
    // The sections as text are those of a project file.
    let output = tidemill(folder.path(), &["quality", "contract", "import", &file]);
    let text = String::from_utf8(output.stdout).unwrap();
    let again: Value = read_yaml(&text).unwrap();
    let sources: std::collections::BTreeMap<tidemill_types::SourceName, tidemill_spec::Source> =
        serde_json::from_value(again["sources"].clone()).unwrap();
    assert_eq!(sources, spec.sources);
}

#[test]
fn what_a_source_says_of_itself_is_part_of_its_contract() {
    let folder = tempfile::tempdir().unwrap();
    let meters = include_str!("../../../tests/data/meters.yaml");
    let said = "    owner: grid\n    cadence: 15m\n    access: ask the grid team\n    licence: CC-BY-4.0\n    description: Readings of meters.\n";
    let project =
        written(&folder, "project.yaml", &meters.replacen("    event_time", &format!("{said}    event_time"), 1));
    let output = tidemill(folder.path(), &["quality", "contract", "export", &project]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let contract: Value = read_yaml(&text).unwrap();
    assert_eq!(contract["team"]["name"], "grid");
    assert_eq!(contract["schema"][0]["description"], "Readings of meters.");
    assert_eq!(contract["slaProperties"][0]["property"], "frequency");
    let file = written(&folder, "meters.odcs.yaml", &text);
    assert_eq!(peers(&["contract", &file])["errors"], json!([]));
    let back = answer(&tidemill(folder.path(), &["quality", "contract", "import", &file, "-o", "json"]));
    let spec = Spec::parse(&std::fs::read_to_string(&project).unwrap()).unwrap();
    assert_eq!(back["not_taken"], json!([]));
    assert_eq!(back["sources"], serde_json::to_value(&spec.sources).unwrap());
}

#[test]
fn parts_of_a_foreign_contract_without_a_counterpart_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
version: 1.2.0
apiVersion: v3.1.0
kind: DataContract
id: 53581432-6c55-4ba2-a65f-72344a91553a
status: active
team: {name: shop, members: [{username: ada}]}
slaProperties:
  - {property: latency, value: 4, unit: h, element: orders.ordered_at}
  - {property: frequency, value: 1, unit: d, element: orders}
  - {property: retention, value: 3, unit: y, element: orders.ordered_at}
schema:
  - name: orders
    logicalType: object
    description: What was bought.
    tags: [finance]
    properties:
      - {name: order_id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1, required: true}
      - {name: ordered_at, logicalType: timestamp, required: true}
      - name: mail
        logicalType: string
        classification: restricted
        logicalTypeOptions: {format: email, maxLength: 80}
        quality:
          - {metric: nullValues, mustBe: 0, severity: error}
          - {metric: missingValues, mustBe: 0}
          - {type: sql, query: 'SELECT count(*) FROM orders', mustBeGreaterThan: 1}
      - {name: amount, logicalType: number, logicalTypeOptions: {minimum: 0, multipleOf: 0.01}}
      - {name: lines, logicalType: array, items: {logicalType: string}}
    quality:
      - {type: library, metric: rowCount, mustBeBetween: [1, 1000]}
      - {type: custom, engine: soda, implementation: 'checks for orders'}
";
    let file = written(&folder, "orders.odcs.yaml", text);
    assert_eq!(peers(&["contract", &file])["errors"], json!([]));
    let output = tidemill(folder.path(), &["quality", "contract", "import", &file, "-o", "json"]);
    let found = answer(&output);
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(found["sources"]["orders"]["key"], json!(["order_id"]));
    assert_eq!(found["sources"]["orders"]["event_time"], "ordered_at");
    assert_eq!(found["sources"]["orders"]["fresh_within"], "4h");
    let said = ["owner", "cadence", "description"].map(|key| found["sources"]["orders"][key].clone());
    assert_eq!(said, [json!("shop"), json!("1d"), json!("What was bought.")]);
    let rules: Vec<Rule> = serde_json::from_value(found["quality"]["orders"].clone()).unwrap();
    // Keys stand in no particular order.
    let keys = |line: &str| {
        let bare = line.replace(['{', '}', ','], " ").replace(": ", ":");
        let mut keys: Vec<String> = bare.split_whitespace().map(str::to_owned).collect();
        keys.sort();
        keys
    };
    let lines: Vec<Vec<String>> = rules.iter().map(|rule| keys(&rule.to_line())).collect();
    assert_eq!(
        lines,
        [
            "{id: mail-not-null, not_null: mail, on_fail: block}",
            "{id: mail-length, length: {column: mail, max: 80.0}, on_fail: warn}",
            "{id: mail-email, email: mail, on_fail: warn}",
            "{id: amount-range, range: {column: amount, min: 0.0}, on_fail: warn}",
            "{id: rows-row-count, row_count: {min: 1, max: 1000}, on_fail: warn}",
        ]
        .map(keys)
    );
    let named: Vec<&str> = found["not_taken"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    for part in [
        "team.members",
        "slaProperties.retention",
        "schema.orders.tags",
        "schema.orders.mail.classification",
        "schema.orders.mail.quality.1",
        "schema.orders.mail.quality.2",
        "schema.orders.amount.logicalTypeOptions.multipleOf",
        "schema.orders.lines",
        "schema.orders.quality.1",
    ] {
        assert!(named.iter().any(|name| name.starts_with(&format!("{part}:"))), "{part} is not in {named:#?}");
    }
    assert_eq!(found["assumed"].as_array().unwrap().len(), 1);
}

/// Rules that all three tools have, on columns with real faults.
const COMPARED: [(&str, &str); 2] = [
    (
        "adult.parquet",
        r#"
- {id: work, not_null: workclass}
- {id: occupation, not_null: occupation}
- {id: country, not_null: native_country}
- {id: age, range: {column: age, min: 18, max: 80}}
- {id: hours, range: {column: hours_per_week, min: 5, max: 80}}
- {id: gain, range: {column: capital_gain, max: 50000}}
- {id: sex, in_set: {column: sex, values: [Male]}}
- {id: race, not_in_set: {column: race, values: [Other]}}
- {id: marital, regex: {column: marital_status, pattern: "^(?:Never|Married)-"}}
- {id: job, length: {column: occupation, min: 6, max: 15}}
- {id: schooling, compare: {left: education_num, is: "<=", right: hours_per_week}}
"#,
    ),
    (
        "traffic_volume.parquet",
        r#"
- {id: kelvin, range: {column: temp, min: 200, max: 330}}
- {id: rain, range: {column: rain_1h, max: 400}}
- {id: clouds, range: {column: clouds_all, min: 0, max: 90}}
- {id: volume, range: {column: traffic_volume, min: 1}}
- {id: holiday, not_null: holiday}
- {id: weather, in_set: {column: weather_main, values: [Clear, Clouds, Rain, Snow, Mist, Drizzle, Haze]}}
- {id: words, regex: {column: weather_description, pattern: "^[a-z ]+$"}}
- {id: short, length: {column: weather_description, max: 20}}
- {id: once, unique: [date_time]}
"#,
    ),
];

#[test]
fn great_expectations_and_pandera_count_the_same_failing_rows() {
    let folder = tempfile::tempdir().unwrap();
    for (file, rules) in COMPARED {
        let rules: Vec<Rule> = read_yaml(rules).unwrap();
        let list = written(&folder, "rules.json", &serde_json::to_string(&rules).unwrap());
        let file = data(file);
        let command = [env!("CARGO_BIN_EXE_tidemill"), "quality", "check", &file, "--rules", &list, "-o", "json"];
        let ours = peers(&[&["run"], command.as_slice()].concat());
        let judged: Value = serde_json::from_str(ours["stdout"].as_str().unwrap()).unwrap();
        let count = |id: &str| {
            let found = judged["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == id);
            found.unwrap()["failed"].as_u64().unwrap()
        };
        println!(
            "{} rows, {} rules: tidemill, the whole process: {:.2} s, {:.0} MB",
            judged["rows"],
            rules.len(),
            ours["seconds"].as_f64().unwrap(),
            ours["peak_mb"].as_f64().unwrap()
        );
        for (peer, least) in [("pandera", rules.len()), ("gx", rules.len() - 1)] {
            let theirs = peers(&[peer, &file, &list]);
            let failed = theirs["failed"].as_object().unwrap();
            assert!(failed.len() >= least, "{peer}: {failed:?}");
            for (id, rows) in failed {
                assert_eq!(count(id), rows.as_u64().unwrap(), "{peer} on {id} of {file}");
            }
            println!(
                "  {peer}: {:.2} s for the rules alone, {:.2} s to load, {:.0} MB",
                theirs["seconds"].as_f64().unwrap(),
                theirs["load_seconds"].as_f64().unwrap(),
                theirs["peak_mb"].as_f64().unwrap()
            );
        }
        assert!(rules.iter().any(|rule| count(&rule.id) > 0), "nothing was found");
    }
}
