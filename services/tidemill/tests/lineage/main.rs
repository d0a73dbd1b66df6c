//! Lineage of the whole loop on real flights: every event is one that `openlineage-python` reads, and questions are
//! answered both ways, down to the very events behind a prediction.
#![allow(clippy::unwrap_used, reason = "tests")]

#[expect(unreachable_pub, reason = "the test tiers export it from their library")]
#[path = "../../../../tests/src/python.rs"]
mod python;

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tidemill_testkit::{Victim, eventually};

/// Longest wait for the story of two months.
const STORY: Duration = Duration::from_secs(900);
const DRAIN: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(180);

struct Demo {
    data: PathBuf,
    folder: tempfile::TempDir,
    victim: Victim,
}

impl Demo {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let project =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/examples/flights").canonicalize().unwrap();
        let (data_dir, project) = (data.display().to_string(), project.display().to_string());
        let arguments = ["demo", "--months", "2", "--free-ports", "--data-dir", &data_dir, "--project", &project];
        let log = folder.path().join("log");
        let mut victim = Victim::spawn(Path::new(env!("CARGO_BIN_EXE_tidemill")), arguments, [], &log).unwrap();
        victim.wait_for_log("The system stays up", STORY).await.unwrap();
        Self { data, folder, victim }
    }

    fn run(&self, command: &str) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        program.args(command.split_whitespace()).arg("--data-dir").arg(&self.data).args(["-o", "json"]);
        program.env_remove("TIDEMILL_CONFIG").current_dir(self.folder.path()).output().unwrap()
    }

    fn json(&self, command: &str) -> Value {
        let output = self.run(command);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {told}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    async fn end(mut self) {
        let pid = self.victim.pid().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert_eq!(self.victim.wait(DRAIN).await.unwrap().code(), Some(0));
    }
}

fn names(hops: &Value, key: &str) -> BTreeSet<String> {
    hops.as_array().unwrap().iter().map(|hop| hop[key].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lineage_leads_from_a_prediction_to_its_events_and_back_in_events_that_openlineage_reads() {
    let demo = Demo::start().await;
    // Events come behind the data by the age of a commit.
    let told =
        eventually(PATIENCE, || async { demo.run("lineage up predictions/flights/disruption").status.success() });
    assert!(told.await, "the predictions are not told of");
    every_event_is_one_of_openlineage(&demo).await;
    datasets_lead_both_ways(&demo);
    columns_lead_both_ways(&demo);
    a_prediction_names_its_events(&demo);
    demo.end().await;
}

async fn every_event_is_one_of_openlineage(demo: &Demo) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lineage");
    let python = python::environment("openlineage", &tests.join("events.requirements.txt")).unwrap();
    let events = demo.folder.path().join("events.jsonl");
    let read = || {
        let _ = std::fs::remove_file(&events);
        demo.json("dataset export lineage/flights --columns event --out events.jsonl");
        let output = Command::new(&python).arg(tests.join("events.py")).arg(&events).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    // February's retraining may still be on its way, or begin at any moment: what was whole when read is judged.
    let mut seen = Value::Null;
    let whole = eventually(PATIENCE, || {
        seen = read();
        std::future::ready(seen["unpaired"] == 0)
    });
    assert!(whole.await, "{seen:#}");
    for job in ["ingestion", "validation", "feature", "training", "evaluation", "serving", "monitoring"] {
        assert!(seen["jobs"][job]["START"].as_u64() > Some(0), "{job}: {seen:#}");
        assert_eq!(seen["jobs"][job]["START"], seen["jobs"][job]["COMPLETE"], "{job}: {seen:#}");
    }
    for facet in [
        "schema",
        "columnLineage",
        "version",
        "dataSource",
        "dataQualityMetrics",
        "dataQualityAssertions",
        "inputStatistics",
        "outputStatistics",
        "ownership",
        "lifecycleStateChange",
        "processing_engine",
        "parent",
        "job.ownership",
        "job.jobType",
    ] {
        assert!(seen["facets"][facet].as_u64() > Some(0), "{facet}: {seen:#}");
    }
    assert_eq!(seen["unpaired"], 0, "every run begins and ends: {seen:#}");
}

fn datasets_lead_both_ways(demo: &Demo) {
    let up = demo.json("lineage up champion");
    let found = names(&up, "name");
    for source in ["schedules", "departures", "outcomes", "weather"] {
        for area in ["events", "raw", "clean"] {
            assert!(found.contains(&format!("{area}/flights/{source}")), "{area}/{source}: {found:?}");
        }
    }
    let events = up.as_array().unwrap().iter().find(|hop| hop["name"] == "events/flights/weather").unwrap();
    assert!(events["first"] == 1 && events["last"].as_i64() > Some(1), "{events}");

    let down = names(&demo.json("lineage down events/weather@1"), "name");
    assert!(down.contains("predictions/flights/disruption") && down.contains("deployment/disruption"), "{down:?}");
    assert!(down.iter().any(|name| name.starts_with("model/")), "{down:?}");

    // The first predictions were answered by the first model, whichever answers now.
    let first = demo.json("lineage up predictions/flights/disruption@1");
    let models: Vec<Value> = first.as_array().unwrap().iter().map(|hop| hop["name"].clone()).collect();
    let models: Vec<&str> = models.iter().filter_map(|name| name.as_str()?.strip_prefix("model/")).collect();
    let rows = demo.json("dataset show predictions/flights/disruption --rows 40");
    let answered: BTreeSet<&str> =
        rows["sample"].as_array().unwrap().iter().filter_map(|row| row["tm_model"].as_str()).collect();
    assert!(models.len() == 1 && answered.contains(models[0]), "{models:?}, answered by {answered:?}");
}

fn columns_lead_both_ways(demo: &Demo) {
    let up = demo.json("lineage up dep_o3_late");
    let column = |dataset: &str, column: &str| {
        up.as_array().unwrap().iter().find(|hop| hop["dataset"] == dataset && hop["column"] == column).cloned()
    };
    let delay = column("clean/flights/departures", "dep_delay_min").unwrap();
    assert_eq!((delay["direct"].as_bool(), delay["how"].as_str()), (Some(true), Some("AGGREGATION")));
    assert_eq!(delay["text"], "mean(dep_delay_min >= 15) over 3h by origin");
    assert!(column("events/flights/departures", "dep_delay_min").is_some(), "{up:#}");
    let down = demo.json("lineage down clean/flights/weather.temp");
    let found = names(&down, "column");
    assert_eq!(found, ["w_temp", "score", "tm_score"].map(str::to_owned).into());
    let log = names(&demo.json("lineage up predictions/flights/disruption.tm_score"), "dataset");
    assert!(log.iter().any(|name| name.starts_with("model/")) && log.contains("events/flights/weather"), "{log:?}");
    assert_eq!(demo.run("lineage up clean/flights/weather.tmp").status.code(), Some(1), "no such column");
}

/// The rows that are found for a prediction are those that its features were counted from.
fn a_prediction_names_its_events(demo: &Demo) {
    let rows = demo.json("dataset show predictions/flights/disruption --rows 40");
    let mut compared = 0;
    for row in rows["sample"].as_array().unwrap().iter().filter(|row| row["tm_status"] == "present").step_by(8) {
        let id = row["tm_prediction_id"].as_str().unwrap();
        let why = demo.json(&format!("lineage why {id}"));
        assert_eq!((&why["prediction"], &why["model"]), (&row["tm_prediction_id"], &row["tm_model"]));
        assert!(why["entity"]["seq"].as_i64() > Some(0), "{}", why["entity"]);
        let found = |name: &str| {
            let inputs = why["inputs"].as_array().unwrap();
            inputs.iter().find(|input| input["input"] == name).unwrap()["rows"].as_f64().unwrap()
        };
        for (input, feature) in [
            ("dep_o3", "dep_o3_n"),
            ("rush_o", "rush_o"),
            ("tail_day", "tail_day_n"),
            ("tail_due", "tail_due_n"),
            ("hist_fn", "hist_fn_n"),
        ] {
            let counted = row[feature].as_f64().unwrap_or(0.0);
            assert!((found(input) - counted).abs() < 0.5, "{input} of {id}: {} rows, counted {counted}", found(input));
            compared += 1;
        }
        let backlog = found("due_o3") - found("gone_o3") - found("off_o3");
        assert!((backlog - row["backlog_o3"].as_f64().unwrap_or(0.0)).abs() < 0.5, "{id}");
        assert!(found("wx") <= 1.0 && found("tail_dep") <= 1.0, "a look-up reads one row");
        let up = names(&demo.json(&format!("lineage up {id}")), "name");
        assert!(
            up.contains("events/flights/outcomes")
                && up.contains(&format!("model/{}", row["tm_model"].as_str().unwrap()))
        );
    }
    assert!(compared >= 10, "only {compared} counts were compared");
}
