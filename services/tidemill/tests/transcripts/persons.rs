//! No value of a personal column stands in what is kept of a model or shown of it: references, the model's own files, runs,
//! scorecards, cards, pages, answers, logs.

use crate::http;
use crate::instance::{Instance, root};
use serde_json::Value;
use std::path::Path;

/// Stands in every value of the columns that the project calls personal and no protected attribute.
const MARK: &str = "SECRET";
/// Rows of the file.
const BIRDS: u64 = 344;
/// Areas of the store that hold rows, and what is made to go on reading rows.
const ROWS: [&str; 5] = ["raw/", "clean/", "quarantine/", "features/", "predictions/"];

/// The penguins, each with a name for its species that is a person's, and a vet who gives its sex away.
fn project() -> String {
    let text = std::fs::read_to_string(root().join("infra/examples/penguins/project.yaml")).unwrap();
    let changes = [
        ("      species: {type: string}\n", "      species: {type: string, pii: person_name}\n"),
        ("      island: {type: string}\n", "      island: {type: string, pii: address, sensitive: true}\n"),
        ("      sex: {", "      vet: {type: string, nullable: true, pii: person_name}\n      sex: {"),
        ("\nserve:", "\nevaluate: {slices: [species, island]}\n\nserve:"),
    ];
    changes.into_iter().fold(text, |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    })
}

fn rows() -> String {
    let text = std::fs::read_to_string(root().join("infra/examples/penguins/data/penguins.csv")).unwrap();
    let mut lines = text.lines().enumerate();
    let header = lines.next().map(|(_, header)| format!("penguin,measured_at,vet,{header}")).unwrap_or_default();
    let row = |(n, line): (usize, &str)| {
        let cells: Vec<&str> = line.split(',').collect();
        let (sex, year) = (cells[6], cells[7]);
        let vet = if sex.is_empty() { String::new() } else { format!("{MARK} vet of {sex}") };
        format!("{n},{year}-11-15T00:00:00Z,{vet},{MARK} {line}")
    };
    std::iter::once(header).chain(lines.map(row)).collect::<Vec<_>>().join("\n")
}

/// Files below a folder, by their paths in it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                found.push((name, std::fs::read(&path).unwrap_or_default()));
            }
        }
    }
    found
}

fn tells_nothing(what: &str, bytes: &[u8]) {
    let at = bytes.windows(MARK.len()).position(|window| window == MARK.as_bytes());
    let around =
        at.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(200)..(at + 60).min(bytes.len())]).into_owned());
    assert!(around.is_none(), "{what} tells …{}…", around.unwrap_or_default());
}

pub(crate) async fn are_named_nowhere_outside_the_rows() {
    let mut instance = Instance::new();
    std::fs::write(instance.folder().join("project.yaml"), project()).unwrap();
    std::fs::write(instance.folder().join("birds.csv"), rows()).unwrap();
    instance.start("tidemill up --project project.yaml").await;
    instance.json("tidemill events publish --source penguins birds.csv");
    // All of the file is in the clean table: it tells outcomes, too.
    let is_there = |status: &Value| status["predictions"]["outcomes"] == BIRDS;
    instance.wait_for("tidemill status", is_there).await;
    let trained = instance.run("tidemill train --wait -o json");
    instance.wait_for("tidemill models ls", |models| !models[0].is_null()).await;
    let model = instance.json("tidemill models ls")[0]["digest"].as_str().unwrap().to_owned();
    let cycle = instance.json("tidemill runs ls")[0]["run"].as_str().unwrap().to_owned();
    // Whatever the gates said: it is to answer.
    instance.run(&format!("tidemill models promote {model} --reason 'to be asked'"));
    instance.wait_for("tidemill predict --key 9 --as-of 2007-11-16", |answer| answer["score"].is_number()).await;

    for (what, output) in [
        ("train", trained),
        ("models card", instance.run(&format!("tidemill models card {model} --out card.html"))),
        ("models ls", instance.run("tidemill models ls -o json")),
        ("runs show", instance.run(&format!("tidemill runs show {cycle} -o json"))),
        ("drift", instance.run("tidemill drift -o json")),
    ] {
        tells_nothing(what, &[output.stdout, output.stderr].concat());
    }
    let card = std::fs::read_to_string(instance.folder().join("card.html")).unwrap();
    tells_nothing("the card", card.as_bytes());
    // Values stay apart, groups that law protects are named, and findings say of which column they are.
    for told in ["species = S***<", "species = S*** (2)<", "island = Biscoe<", "entity.vet = &#39;S***&#39;"] {
        let plain = card.replace("'", "&#39;");
        assert!(plain.contains(told), "the card does not tell {told}: {card}");
    }
    let shown = instance.json(&format!("tidemill models card {model}"));
    tells_nothing("models card -o json", shown.to_string().as_bytes());

    let run = instance.run_file();
    let console = run["endpoints"]["console"].as_str().unwrap().trim_start_matches("http://").trim_end_matches('/');
    let mut pages = vec!["/".to_owned(), "/index.json".to_owned(), format!("/models/{model}/card")];
    for page in ["models", "runs", "features", "features/species", "drift", "traces", "alerts", "lineage"] {
        pages.extend([format!("/{page}"), format!("/{page}.json")]);
    }
    for page in [format!("/models/{model}"), format!("/runs/{cycle}")] {
        pages.extend([format!("{page}.json"), page]);
    }
    for page in pages {
        let answer = http::get(console, &page).await;
        assert_eq!(answer.status, 200, "{page}: {}", answer.text());
        tells_nothing(&page, &answer.body);
    }
    let statistics = http::get(console, "/features/species.json").await.json();
    let top = &statistics["statistics"]["values"]["top"];
    assert_eq!((&top[0][0], &top[1][0]), (&"***".into(), &"*** (2)".into()), "{statistics}");

    let stored = files(&instance.folder().join("tidemill-data/store"));
    for kept in ["models/", "runs/", "scorecards/"] {
        assert!(stored.iter().any(|(path, _)| path.starts_with(kept)), "nothing is kept under {kept}");
    }
    let is_rows = |path: &str| ROWS.iter().any(|area| path.starts_with(area));
    assert!(stored.iter().any(|(path, _)| is_rows(path)));
    stored.iter().filter(|(path, _)| !is_rows(path)).for_each(|(path, bytes)| tells_nothing(path, bytes));
    tells_nothing("the log", instance.log().as_bytes());
    instance.run("tidemill down");
    instance.ended().await;
}
