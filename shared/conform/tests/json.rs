//! What happens to JSON rows, good and bad.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{DataType, Float64Type, Int8Type, Int32Type, Int64Type, TimestampMillisecondType};
use tidemill_conform::reject::{
    BAD_INSTANT, BODY_TOO_LARGE, DUPLICATE_COLUMN, EMPTY, MALFORMED_JSON, MISSING_COLUMN, NOT_AN_OBJECT, NOT_UTF8,
    NULL_IN_REQUIRED, OUT_OF_RANGE, TOO_MANY_ROWS, TYPE_MISMATCH, UNKNOWN_COLUMN, UNSUPPORTED_CONTENT_TYPE,
};
use tidemill_conform::{ColumnDef, Conform, ConformSchema, Conformed, Extra, Limits, MessageIn, NDJSON, Values};
use tidemill_types::{Code, Millis, columns};

fn column(name: &str, data_type: DataType, nullable: bool) -> ColumnDef {
    ColumnDef { name: name.to_owned(), data_type, nullable, values: Values::default() }
}

fn conform() -> Conform {
    let columns = vec![
        column("at", Millis::arrow_type(), false),
        column("id", DataType::Int64, false),
        column("small", DataType::Int8, true),
        column("x", DataType::Float64, true),
        column("f", DataType::Float32, true),
        column("name", DataType::Utf8, true),
        column("ok", DataType::Boolean, true),
        column("known", Millis::arrow_type(), true),
    ];
    Conform::new(&ConformSchema { columns, event_time: "at".to_owned(), known_at: Some("known".to_owned()) }).unwrap()
}

fn message<'a>(content_type: &'a str, body: &'a [u8]) -> MessageIn<'a> {
    MessageIn { seq: 7, content_type, event_id: "e-1", arrived_at: Millis(1_000), body }
}

fn json(body: &str) -> Conformed {
    conform().message(&message("application/json", body.as_bytes()))
}

fn only_code(body: &str) -> Code {
    let conformed = json(body);
    assert!(conformed.batch.is_none(), "{body} was accepted");
    assert_eq!(conformed.rejects.len(), 1, "{body}");
    conformed.rejects[0].code
}

#[test]
fn an_object_becomes_a_row_with_system_columns() {
    let body = r#"{"at":"2013-01-01T05:15:00-05:00","id":9007199254740993,"small":-128,"x":2,"f":0.5,"name":"n\u00e9","ok":true}"#;
    let batch = json(body).batch.unwrap();
    assert_eq!(batch.num_rows(), 1);
    assert_eq!(batch.schema(), conform().schema());
    assert_eq!(batch["at"].as_primitive::<TimestampMillisecondType>().value(0), 1_357_035_300_000);
    assert_eq!(batch["id"].as_primitive::<Int64Type>().value(0), 9_007_199_254_740_993);
    assert_eq!(batch["small"].as_primitive::<Int8Type>().value(0), -128);
    assert_eq!(batch["x"].as_primitive::<Float64Type>().value(0).to_bits(), 2.0_f64.to_bits());
    assert_eq!(batch["name"].as_string::<i32>().value(0), "né");
    assert_eq!(batch[columns::SEQ].as_primitive::<Int64Type>().value(0), 7);
    assert_eq!(batch[columns::EVENT_ID].as_string::<i32>().value(0), "e-1");
    assert_eq!(batch[columns::KNOWN_AT].as_primitive::<TimestampMillisecondType>().value(0), 1_000);
}

#[test]
fn a_declared_knowledge_time_wins_over_arrival() {
    let batch = json(r#"{"at":5,"id":1,"known":42}"#).batch.unwrap();
    assert_eq!(batch[columns::KNOWN_AT].as_primitive::<TimestampMillisecondType>().value(0), 42);
}

#[test]
fn each_fault_has_its_own_code() {
    let cases = [
        (r#"{"at":1,"id":1.5}"#, TYPE_MISMATCH),
        (r#"{"at":1,"id":"1"}"#, TYPE_MISMATCH),
        (r#"{"at":1,"id":1,"x":"NaN"}"#, TYPE_MISMATCH),
        (r#"{"at":1,"id":1,"ok":1}"#, TYPE_MISMATCH),
        (r#"{"at":1,"id":1,"name":{"deep":[[[1]]]}}"#, TYPE_MISMATCH),
        (r#"{"at":1,"id":1,"small":128}"#, OUT_OF_RANGE),
        (r#"{"at":1,"id":9223372036854775808}"#, OUT_OF_RANGE),
        (r#"{"at":1,"id":1,"f":1e39}"#, OUT_OF_RANGE),
        (r#"{"at":1,"id":1,"x":1e999}"#, OUT_OF_RANGE),
        (r#"{"at":"2013-13-01T00:00:00Z","id":1}"#, BAD_INSTANT),
        (r#"{"at":"2013-01-01 00:00:00","id":1}"#, BAD_INSTANT),
        (r#"{"at":253402300800000,"id":1}"#, BAD_INSTANT),
        (r#"{"at":1}"#, MISSING_COLUMN),
        (r#"{"at":null,"id":1}"#, NULL_IN_REQUIRED),
        (r#"{"at":1,"id":1,"id":1}"#, DUPLICATE_COLUMN),
        (r#"{"at":1,"id":1,"typo":1}"#, UNKNOWN_COLUMN),
        (r#"{"at":1,"id":1"#, MALFORMED_JSON),
        (r#"{"at":1,"id":1} x"#, MALFORMED_JSON),
        (r#"{"at":1,"id":NaN}"#, MALFORMED_JSON),
        ("17", NOT_AN_OBJECT),
        ("[]", EMPTY),
        ("", EMPTY),
    ];
    for (body, code) in cases {
        assert_eq!(only_code(body), code, "{body}");
    }
    let not_text = conform().message(&message("application/json", b"{\"name\":\"\xff\"}"));
    assert_eq!(not_text.rejects[0].code, NOT_UTF8);
    assert_eq!(not_text.rejects[0].position, "byte 9");
    let xml = conform().message(&message("application/xml", b"<a/>"));
    assert_eq!(xml.rejects[0].code, UNSUPPORTED_CONTENT_TYPE);
}

#[test]
fn a_bad_row_in_an_array_does_not_take_its_neighbours_along() {
    let conformed = json(r#"[{"at":1,"id":1},{"at":1,"id":"x"},3,{"at":1,"id":3}]"#);
    let batch = conformed.batch.unwrap();
    assert_eq!(batch["id"].as_primitive::<Int64Type>().values().as_ref(), &[1, 3]);
    assert_eq!(batch[columns::ROW].as_primitive::<Int32Type>().values().as_ref(), &[0, 3]);
    let seen: Vec<_> = conformed.rejects.iter().map(|r| (r.row, r.position.as_str())).collect();
    assert_eq!(seen, [(Some(1), "$[1].id"), (Some(2), "$[2]")]);
}

#[test]
fn a_message_damaged_in_its_middle_leaves_nothing_behind() {
    let conform = conform();
    let bodies = [&br#"[{"at":1,"id":1},{"at":1,"#[..], br#"{"at":2,"id":2,"name":"b"}"#];
    let messages: Vec<_> = bodies.iter().map(|body| message("application/json; charset=utf-8", body)).collect();
    let (batches, rejects) = conform.messages(&messages);
    let [batch] = batches.as_slice() else { panic!("{} batches", batches.len()) };
    assert_eq!(batch["id"].as_primitive::<Int64Type>().values().as_ref(), &[2]);
    assert_eq!(batch["name"].as_string::<i32>().value(0), "b");
    assert_eq!(rejects.len(), 1);
}

#[test]
fn lines_are_refused_one_by_one() {
    let body = b"{\"at\":1,\"id\":1,\"name\":\"a\"}\n\n{\"at\":1,\"id\":\n\xff\n{\"at\":1,\"id\":4,\"name\":\"d\"}\n";
    let conformed = conform().message(&message(NDJSON, body));
    let batch = conformed.batch.unwrap();
    assert_eq!(batch[columns::ROW].as_primitive::<Int32Type>().values().as_ref(), &[0, 3]);
    assert_eq!(batch["name"].as_string::<i32>().value(1), "d");
    let codes: Vec<_> = conformed.rejects.iter().map(|r| (r.row, r.code)).collect();
    assert_eq!(codes, [(Some(1), MALFORMED_JSON), (Some(2), NOT_UTF8)]);
}

#[test]
fn limits_hold() {
    let limits = Limits { body_bytes: 60, rows: 2, ..Limits::default() };
    let conform = conform().with_limits(limits);
    let three = br#"[{"at":1,"id":1},{"at":1,"id":1},{"at":1,"id":1}]"#;
    assert_eq!(conform.message(&message("", three)).rejects[0].code, TOO_MANY_ROWS);
    assert_eq!(conform.message(&message("", &[b' '; 61])).rejects[0].code, BODY_TOO_LARGE);
}

#[test]
fn a_reason_quotes_no_value_that_may_be_a_persons() {
    let bodies = [
        r#"{"at":1,"a":"+49 170 1234567","b":1}"#,
        r#"{"at":1,"a":4917012345678901234567,"b":1}"#,
        r#"{"at":1,"a":491701234567,"b":1}"#,
        r#"{"at":1,"a":1,"b":491701234567}"#,
        r#"{"at":1,"a":1,"b":1701234567.5}"#,
        r#"{"at":"+49 170 1234567","a":1,"b":"1"}"#,
        r#"{"at":491701234567000,"a":1,"b":"1"}"#,
    ];
    let reasons = |values: Values| -> Vec<String> {
        let one = |name: &str, data_type| ColumnDef { values, ..column(name, data_type, false) };
        let columns = vec![one("at", Millis::arrow_type()), one("a", DataType::Int32), one("b", DataType::Utf8)];
        let conform = Conform::new(&ConformSchema { columns, event_time: "at".to_owned(), known_at: None }).unwrap();
        let refused = |body: &str| conform.message(&message("", body.as_bytes())).rejects.remove(0).reason;
        bodies.iter().map(|body| refused(body)).collect()
    };
    let told = |values| reasons(values).iter().filter(|reason| reason.contains("70")).count();
    assert_eq!(told(Values::Plain), bodies.len(), "{:?}", reasons(Values::Plain));
    assert_eq!(told(Values::Personal), 0, "{:?}", reasons(Values::Personal));
    // Where nobody has said anything, numbers are told of columns that take them.
    assert_eq!(told(Values::Unclassified), 3, "{:?}", reasons(Values::Unclassified));
    assert_eq!(reasons(Values::Unclassified)[0], "expected a 32-bit integer, found a text of 15 characters");
}

#[test]
fn undeclared_keys_are_dropped_only_where_that_is_asked_for() {
    let deep = format!(r#"{{"at":1,"id":1,"extra":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let lenient = conform().with_extra(Extra::Ignore);
    assert!(lenient.message(&message("", deep.as_bytes())).batch.is_some());
    let strict = json(&deep);
    assert_eq!((strict.rejects[0].code, strict.rejects[0].position.as_str()), (UNKNOWN_COLUMN, "$.extra"));
}

#[test]
fn many_messages_give_the_rows_that_each_gives_alone() {
    let conform = conform();
    let bodies: Vec<String> =
        (0..200)
            .map(|i| {
                if i % 7 == 0 { format!("[{{\"at\":{i}}}]") } else { format!(r#"{{"at":{i},"id":{i},"name":"n{i}"}}"#) }
            })
            .collect();
    let messages: Vec<_> = bodies.iter().map(|b| message("application/json", b.as_bytes())).collect();
    let (batches, rejects) = conform.messages(&messages);
    let [batch] = batches.as_slice() else { panic!("{} batches", batches.len()) };
    let alone: Vec<_> = messages.iter().filter_map(|m| conform.message(m).batch).collect();
    assert_eq!(*batch, arrow::compute::concat_batches(&conform.schema(), &alone).unwrap());
    assert_eq!(rejects.len(), 29);
    assert_eq!(batch["ok"].null_count(), batch.num_rows());
}

#[test]
fn schemas_that_cannot_work_are_refused() {
    let timestamp = || column("at", Millis::arrow_type(), false);
    let schema =
        |columns, event_time: &str| ConformSchema { columns, event_time: event_time.to_owned(), known_at: None };
    assert!(Conform::new(&schema(vec![timestamp()], "at")).is_ok());
    assert!(Conform::new(&schema(vec![timestamp()], "when")).is_err());
    assert!(Conform::new(&schema(vec![timestamp(), timestamp()], "at")).is_err());
    assert!(Conform::new(&schema(vec![timestamp(), column("tm_seq", DataType::Int64, true)], "at")).is_err());
    assert!(Conform::new(&schema(vec![timestamp(), column("b", DataType::Binary, true)], "at")).is_err());
    assert!(Conform::new(&schema(vec![column("at", DataType::Int64, false)], "at")).is_err());
}
