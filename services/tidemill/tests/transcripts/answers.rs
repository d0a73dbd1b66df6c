//! What programs read: JSON answers of every command, and exit codes.

use crate::instance::Instance;
use crate::shapes::differences;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

const PROJECT: &str = "infra/examples/flights/project.yaml";

/// Commands that only look, by the name of their snapshot.
const LOOKS: [(&str, &str); 16] = [
    ("project_validate", "tidemill project validate infra/examples/flights/project.yaml"),
    ("project_plan", "tidemill project plan other.yaml"),
    ("project_apply", "tidemill project apply infra/examples/flights/project.yaml"),
    ("project_show", "tidemill project show"),
    ("events_replay", "tidemill events replay infra/examples/flights/replay.yaml --until 2013-02-05"),
    ("dead_ls", "tidemill dead ls"),
    ("dead_show", "tidemill dead show 1"),
    ("dead_replay", "tidemill dead replay 1 --file mended.json"),
    ("dataset_ls", "tidemill dataset ls"),
    ("dataset_show", "tidemill dataset show clean/flights/weather --rows 2"),
    ("models_ls", "tidemill models ls"),
    ("models_card", "tidemill models card champion --out card.html"),
    ("predict", "tidemill predict --key 26732 --as-of 2013-01-31T20:00:00Z"),
    ("explain", "tidemill explain TM0403"),
    ("explain_all", "tidemill explain"),
    ("secrets_init", "tidemill secrets init secrets --project infra/examples/flights/project.yaml"),
];

/// Runs every command with `-o json` and compares the fields of its answer.
pub(crate) async fn keep_their_shape(instance: &Instance) {
    prepare(instance);
    let mut different = Vec::new();
    let mut compare = |name: &str, answer: &Value| {
        different.extend(differences(name, answer).into_iter().map(|what| format!("{name}: {what}")));
    };
    compare("events_publish", &instance.json("tidemill events publish --source weather rows.csv"));
    compare("events_tail", &tailed(instance));
    let letters = |answer: &Value| answer.as_array().is_some_and(|letters| !letters.is_empty());
    instance.json("tidemill events publish --source weather refused.jsonl");
    instance.wait_for("tidemill dead ls", letters).await;
    let mut faults = Vec::new();
    for (name, command) in LOOKS {
        let output = tokio::task::block_in_place(|| instance.run(&format!("{command} -o json")));
        let told = String::from_utf8_lossy(&output.stderr);
        match serde_json::from_slice(&output.stdout) {
            Ok(answer) if output.status.success() => compare(name, &answer),
            _ => faults.push(format!("{command} failed: {told}")),
        }
        if !told.contains("next: ") && name != "explain" {
            faults.push(format!("{command} names no next step: {told}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // What was predicted in January is tested once February has brought its outcomes.
    instance.wait_for("tidemill drift", |windows| !windows[0].is_null()).await;
    compare("drift", &instance.json("tidemill drift"));
    let runs = instance.json("tidemill runs ls");
    compare("runs_ls", &runs);
    let run = runs[0]["run"].as_str().unwrap();
    compare("runs_show", &instance.json(&format!("tidemill runs show {run}")));
    compare("status", &instance.json("tidemill status"));
    let doctor = instance.json("tidemill doctor");
    compare("doctor", &doctor);
    for state in ["open", "failed"] {
        assert_eq!(doctor[state], 0, "{doctor:#}");
    }
    compare("health", &instance.json("tidemill health --set admin.grpc=127.0.0.1:9"));
    compare("refused", &instance.json("tidemill project validate refused.yaml"));
    compare("train", &instance.json("tidemill train --as-of 2013-01-31"));
    assert!(different.is_empty(), "answers changed; UPDATE_SNAPSHOTS=1 takes them over:\n{}", different.join("\n"));
}

/// Files that the commands read.
fn prepare(instance: &Instance) {
    let write = |name: &str, text: String| std::fs::write(instance.folder().join(name), text).unwrap();
    let project = std::fs::read_to_string(instance.folder().join(PROJECT)).unwrap();
    write("other.yaml", project.replace("budget: 0.10", "budget: 0.11"));
    write("refused.yaml", project.replace("  embargo: 36h", "  embargoo: 36h"));
    let row = json!({"origin": "JFK", "observed_at": "2013-02-01T07:00:00Z", "published_at": "2013-02-01T07:15:00Z"});
    write("mended.json", row.to_string());
    write("one.jsonl", format!("{row}\n"));
    let mut refused = row;
    refused["windspeed"] = json!(3);
    write("refused.jsonl", format!("{refused}\n"));
    write("rows.csv", "origin,observed_at,published_at\nJFK,2013-02-01T06:00:00Z,2013-02-01T06:15:00Z\n".to_owned());
}

/// One event as `events tail` shows it: the command waits, so another one publishes meanwhile.
fn tailed(instance: &Instance) -> Value {
    let mut tail = instance.shell("tidemill events tail weather --limit 1 -o json");
    let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(tail.stderr.take().unwrap()).lines();
    assert!(told.next().unwrap().unwrap().contains("waiting"), "{told:?}");
    instance.json("tidemill events publish --source weather one.jsonl --id-column observed_at");
    let mut answer = String::new();
    tail.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
    assert!(tail.wait().unwrap().success());
    serde_json::from_str(&answer).unwrap()
}

/// 0 done, 1 failed, 2 wrong use, 3 a check said no, 4 not reachable, 5 partly done: each by a real case.
pub(crate) fn exit_codes_say_what_happened(instance: &Instance) {
    let small = "{\"origin\":\"JFK\"}\n".repeat(500);
    let large = format!("{{\"origin\":\"{}\"}}\n", "x".repeat(9_000_000));
    std::fs::write(instance.folder().join("large.jsonl"), small + &large).unwrap();
    let cases = [
        ("tidemill status --check", 0, ""),
        ("tidemill models rollback --reason 'alerts doubled'", 1, "TM1116"),
        ("tidemill predict --row 'no json'", 2, "TM1503"),
        ("tidemill models promote champion", 2, "--reason TEXT is required"),
        ("tidemill doctor --set ingestion.commit_bytes=8GB", 3, "tidemill doctor"),
        ("tidemill status --data-dir nowhere --set bus.url=nats://127.0.0.1:9", 4, "TM0600"),
        ("tidemill doctor --data-dir nowhere --set bus.url=nats://127.0.0.1:9", 4, ""),
        ("tidemill events publish --source weather large.jsonl", 5, "TM1511"),
    ];
    for (command, code, said) in cases {
        let output = tokio::task::block_in_place(|| instance.run(command));
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{command}: {told}{}", String::from_utf8_lossy(&output.stdout));
        assert!(told.contains(said), "{command}: {told}");
        if said.starts_with("TM") {
            assert!(told.contains(&format!("more: tidemill explain {said}")), "{command}: {told}");
        }
    }
}

/// `down` says that it ended, and the process ended well.
pub(crate) async fn the_instance_ends_in_good_order(instance: &mut Instance) {
    let down = instance.json("tidemill down");
    let different = differences("down", &down);
    assert!(different.is_empty(), "down: {different:?}");
    assert_eq!(down["ended"], true);
    instance.ended().await;
    assert_eq!(tokio::task::block_in_place(|| instance.run("tidemill down")).status.code(), Some(4));
}
