//! Decisions about values: proposed from rows, taken into the project file, and told of afterwards.

use crate::place::{Place, meters, reading};

/// Readings whose meters are spelled as they come.
fn spelled(numbers: std::ops::Range<i64>) -> String {
    let meter = |n: i64| if n % 40 == 7 { "METER  A" } else { "meter a" };
    let rows: Vec<String> = numbers.map(|n| reading(n, 5.0).replace(&format!("meter-{}", n % 7), meter(n))).collect();
    format!("[{}]", rows.join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_proposed_can_be_taken_and_is_told_of() {
    let place = Place::start(&meters("")).await;
    place.publish(&[("a", spelled(0..400))]).await;
    let proposed = place.json("cleaning suggest --source readings");
    let decisions: Vec<&str> = proposed.as_array().unwrap().iter().map(|p| p["decision"].as_str().unwrap()).collect();
    assert_eq!(decisions, ["meter-tidy", "meter-spelling"]);
    let changed: Vec<u64> = proposed.as_array().unwrap().iter().map(|p| p["changed"].as_u64().unwrap()).collect();
    assert_eq!(changed, [10, 10], "{proposed:#}");
    assert_eq!(place.json("cleaning log"), serde_json::json!([]));
    let block = place.run("cleaning suggest --source readings");
    let block = String::from_utf8(block.stdout).unwrap();
    place.end().await;

    // The block stands in the project file as it was printed.
    let place = Place::start(&meters(&block)).await;
    place.publish(&[("a", spelled(0..400)), ("b", spelled(400..480))]).await;
    let log = place.json("cleaning log");
    let spelling = &log[1];
    assert_eq!((spelling["decision"].as_str(), spelling["state"].as_str()), (Some("meter-spelling"), Some("in force")));
    assert_eq!((spelling["rows"].as_u64(), spelling["changed"].as_u64()), (Some(480), Some(12)));
    assert_eq!(spelling["examples"][0]["to"], "meter a");
    assert_eq!(place.json("cleaning log --source readings"), log);
    assert_eq!(place.run("cleaning log --source nowhere").status.code(), Some(1));
    place.end().await;
}

#[tokio::test]
async fn units_are_listed_and_a_file_needs_no_instance() {
    let folder = tempfile::tempdir().unwrap();
    let tidemill = |arguments: &[&str]| {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_tidemill"));
        let output = program.args(arguments).args(["-o", "json"]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let units = tidemill(&["cleaning", "units"]);
    assert!(units.as_array().unwrap().iter().any(|unit| unit["unit"] == "°F"));
    let rows: String = (0..200).map(|n| format!("{},{}\n", if n % 50 == 3 { "cofee" } else { "coffee" }, n)).collect();
    // One edit in four letters: six letters allow one.
    std::fs::write(folder.path().join("sales.csv"), format!("article,n\n{rows}")).unwrap();
    let proposed = tidemill(&["cleaning", "suggest", "sales.csv"]);
    assert_eq!(proposed[0]["definition"]["merge"]["coffee"][0], "cofee", "{proposed:#}");
    assert_eq!(proposed[0]["changed"], 4);
    std::fs::write(folder.path().join("people.csv"), "id,who\n1,Anna Smithers\n2,Bob Jones\n3,ana smithers\n").unwrap();
    let near = tidemill(&["quality", "duplicates", "people.csv", "--columns", "who", "--at-least", "0.5"]);
    assert_eq!((near["pairs"].as_u64(), &near["groups"][0]["row_numbers"]), (Some(1), &serde_json::json!([0, 2])));
}
