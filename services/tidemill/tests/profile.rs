//! `dataset profile` on bare files: no instance, no store, and every bad file ends in a code, a place and a mend.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn profile(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.args(["dataset", "profile"]).args(arguments).current_dir(folder).env("NO_COLOR", "1").output().unwrap()
}

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name);
    path.canonicalize().unwrap().display().to_string()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = profile(folder, &[arguments, &["-o", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_bare_file_is_profiled_without_any_instance() {
    let folder = tempfile::tempdir().unwrap();
    let output = profile(folder.path(), &[&data("traffic_volume.parquet"), "--report", "report.html"]);
    let (text, remarks) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{remarks}");
    for wanted in [
        "48204 rows",
        "17 full duplicate rows",
        "7,629 timestamps",
        "307 days",
        "9,831.3",
        "10 rows have the smallest value 0",
    ] {
        assert!(text.contains(wanted), "{wanted} not in {text}");
    }
    assert!(text.find("what to look at first") < text.find("most frequent"), "{text}");
    let report = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(report.len() <= 500_000 && report.contains("307 days"), "{} bytes", report.len());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["report.html"], "nothing but the report is written");
}

#[test]
fn columns_that_look_personal_show_no_value_unless_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let row = |n: i32| format!("anna{}@example.org,4917012345{:02},{n}\n", n % 60, n % 60);
    let rows: String = (0..300).map(row).collect();
    std::fs::write(folder.path().join("rows.csv"), format!("mail,phone,n\n{rows}")).unwrap();
    let shown = |more: &[&str]| -> Vec<String> {
        let text = |output: Output| String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let table = profile(folder.path(), &[&["rows.csv", "--report", "report.html"], more].concat());
        let report = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
        vec![text(table), report, text(profile(folder.path(), &[&["rows.csv", "-o", "json"], more].concat()))]
    };
    for text in shown(&[]) {
        assert!(!text.contains("@example.org") && !text.contains("49170") && !text.contains("4,917,012"), "{text}");
    }
    assert!(shown(&[])[0].contains("personal, so that no value is shown: mail, phone"));
    let found = json(folder.path(), &["rows.csv"]);
    let mail = found["columns"].as_array().unwrap().iter().find(|c| c["name"] == "mail").unwrap();
    assert_eq!((mail["distinct"].as_u64(), mail["withheld"].as_bool()), (Some(60), Some(true)), "counts remain");
    assert!(shown(&["--unmask"]).iter().all(|text| text.contains("@example.org")));
    let refused = profile(folder.path(), &["clean/flights/weather", "--unmask"]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
}

#[test]
fn every_format_tells_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let csv = "name,age,at,ok\nAda,36,2013-01-01T00:00:00,true\nBob,NA,2013-01-02T00:00:00,false\nEve,41.5,,true\n";
    let lines = "{\"name\":\"Ada\",\"age\":36,\"ok\":true}\n{\"name\":\"Bob\",\"age\":null,\"ok\":false}\n{\"name\":\"Eve\",\"age\":41.5,\"ok\":true}\n";
    std::fs::write(folder.path().join("rows.csv"), format!("\u{feff}{csv}")).unwrap();
    std::fs::write(folder.path().join("rows.jsonl"), lines).unwrap();
    let column = |found: &Value, name: &str| {
        found["columns"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap().clone()
    };
    let (csv, lines) = (json(folder.path(), &["rows.csv"]), json(folder.path(), &["rows.jsonl"]));
    for found in [&csv, &lines] {
        assert_eq!((found["rows"].as_u64(), found["whole"].as_bool()), (Some(3), Some(true)));
        let age = column(found, "age");
        assert_eq!(
            (age["nulls"].as_u64(), age["mean"].as_f64(), age["kind"].as_str()),
            (Some(1), Some(38.75), Some("numeric"))
        );
        assert_eq!(column(found, "ok")["top"][0]["value"], "true");
    }
    assert_eq!(column(&csv, "at")["kind"], "instant");
    let rows = profile(folder.path(), &["rows.csv", "-o", "csv"]);
    assert!(String::from_utf8(rows.stdout).unwrap().starts_with("column,type,missing,distinct"));
}

#[test]
fn bad_files_end_in_a_code_a_place_and_a_mend() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(data("traffic_volume.parquet")).unwrap();
    let mut holed = whole.clone();
    // The header of a page: a hole in values alone would make other values, which nobody can tell.
    holed[119_070..121_000].fill(0xff);
    let long = [b"a,b\n1,".as_slice(), &vec![b'x'; 20 << 20]].concat();
    let files: [(&str, Vec<u8>, &str); 13] = [
        ("cut.parquet", whole[..whole.len() / 2].to_vec(), "footer"),
        ("holed.parquet", holed, "row group 0, column"),
        ("text.parquet", b"this is no parquet file at all".to_vec(), "footer"),
        ("empty.parquet", Vec::new(), "footer"),
        ("latin.csv", b"name,age\nAda,3\nJos\xe9,4\n".to_vec(), "line 3: byte 4 is 0xe9"),
        ("wide.csv", b"\xff\xfea\0,\0b\0\n\0".to_vec(), "UTF-16"),
        ("ragged.csv", b"a,b,c\n1,2,3\n4,5\n6,7,8\n".to_vec(), "line 3"),
        ("twice.csv", b"a,b,a\n1,2,3\n".to_vec(), "line 1: column 3"),
        ("long.csv", long, "line 2 does not end within"),
        ("open.csv", b"a,b\n1,\"2\n3,4\n".to_vec(), "line 2 opens a quote at byte 3"),
        ("broken.jsonl", b"{\"a\":1}\n{\"a\":\n{\"a\":2}\n".to_vec(), "line 2"),
        ("nothing.csv", b"a,b\n".to_vec(), "no rows"),
        ("torn.arrow", b"ARROW1\0\0 and then nothing that is any".to_vec(), "Arrow message"),
    ];
    for (name, bytes, place) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let output = profile(folder.path(), &[name]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains("TM1515") && said.contains(name) && said.contains(place), "{name}: {said}");
        assert!(said.contains("mend: ") && output.stdout.is_empty(), "{name}: {said}");
        assert!(!said.contains("RUST_BACKTRACE"), "{name} led to a panic: {said}");
    }
    let output = profile(folder.path(), &["rows.xlsx"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("TM1502"), "a file that is not there");
}
