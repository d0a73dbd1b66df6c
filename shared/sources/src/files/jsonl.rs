//! One JSON object a line. Lines travel as they stand, unless the source says that their instants are to be rewritten.

use crate::error::{Fault, FaultKind};
use crate::files::csv::skip_mark;
use crate::message::ROW_BYTES;
use crate::text::{Lines, Rules, Sink};
use serde::de::IgnoredAny;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};

pub(super) fn read(mut file: File, rules: &Rules, skip: u64, sink: Sink<'_>) -> Result<u64, Fault> {
    skip_mark(&mut file)?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut lines = Lines::new(skip);
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        number += 1;
        let most = ROW_BYTES as u64 + 2;
        let lost = |e: std::io::Error| Fault::new(FaultKind::Damaged, e.to_string(), "see the disk of this machine");
        if reader.by_ref().take(most).read_until(b'\n', &mut line).map_err(lost)? == 0 {
            break;
        }
        let row = line.trim_ascii();
        if row.is_empty() {
            continue;
        }
        let goes_on = one(row, rules, &mut lines, sink).map_err(|fault| fault.line(number).sample(row))?;
        if !goes_on {
            break;
        }
    }
    Ok(lines.finish(sink))
}

fn one(row: &[u8], rules: &Rules, lines: &mut Lines, sink: Sink<'_>) -> Result<bool, Fault> {
    if row.len() > ROW_BYTES {
        return lines.push(row, sink);
    }
    let text = std::str::from_utf8(row).map_err(|e| {
        let reason = format!("the text is not UTF-8, at byte {}", e.valid_up_to());
        Fault::new(FaultKind::Encoding, reason, "write the file as UTF-8")
    })?;
    let broken = |e: serde_json::Error| {
        Fault::new(
            FaultKind::Json,
            format!("no JSON: {e}"),
            "one whole object a line; see whether the file was cut off",
        )
    };
    if rules.is_plain() {
        serde_json::from_str::<IgnoredAny>(text).map_err(broken)?;
        return lines.push(row, sink);
    }
    let mut value: Value = serde_json::from_str(text).map_err(broken)?;
    rules.rewrite(&mut value);
    lines.push(value.to_string().as_bytes(), sink)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::files::Scratch;
    use serde_json::json;
    use tidemill_spec::Source;

    fn all(text: &[u8], form: Value) -> Result<(u64, String), Fault> {
        let columns = json!({"n": {"type": "int64"}, "at": {"type": "timestamp"}});
        let source: Source =
            serde_json::from_value(json!({"key": ["n"], "event_time": "at", "columns": columns})).unwrap();
        let rules = Rules::new(&source, &serde_json::from_value(form).unwrap());
        let mut body = Vec::new();
        let file = Scratch::of(text, None).unwrap().file;
        let rows = read(file, &rules, 0, &mut |piece| {
            body.extend_from_slice(&piece.body);
            true
        })?;
        Ok((rows, String::from_utf8(body).unwrap()))
    }

    #[test]
    fn lines_travel_as_they_stand_unless_instants_are_rewritten() {
        let text = b"{\"n\": 1.50,  \"at\":\"x\"}\r\n\n{\"n\":2}";
        assert_eq!(all(text, json!({})).unwrap(), (2, "{\"n\": 1.50,  \"at\":\"x\"}\n{\"n\":2}\n".to_owned()));
        let seconds = json!({"instants": {"at": "epoch_s"}});
        assert_eq!(all(b"{\"at\":60,\"n\":1}", seconds).unwrap().1, "{\"at\":\"1970-01-01T00:01:00Z\",\"n\":1}\n");
    }

    #[test]
    fn a_line_that_is_no_json_refuses_the_file_with_its_number() {
        let cut = all(b"{\"n\":1}\n\n{\"n\":", json!({})).unwrap_err();
        assert_eq!(
            (cut.kind, cut.position.as_str(), cut.sample.as_slice()),
            (FaultKind::Json, "line 3", &b"{\"n\":"[..])
        );
        assert_eq!(all(b"{\"n\":\"\xff\"}", json!({})).unwrap_err().kind, FaultKind::Encoding);
        let long = [b"\"".as_slice(), &vec![b'x'; ROW_BYTES + 10], b"\""].concat();
        assert_eq!(all(&long, json!({})).unwrap_err().kind, FaultKind::Row);
    }
}
