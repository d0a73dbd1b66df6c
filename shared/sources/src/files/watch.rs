//! Which files are complete: the same in two looks, and not one that somebody still writes by its name.

use std::collections::HashMap;
use tidemill_spec::FilesOrigin;
use tidemill_storage::ObjectInfo;

/// Endings under which programs write what they rename when it is complete.
const UNFINISHED: [&str; 6] = [".tmp", ".part", ".partial", ".crdownload", ".swp", "~"];

/// Remembers the last look.
#[derive(Debug)]
pub(super) struct Watch {
    pattern: Option<String>,
    any_ending: bool,
    last: HashMap<String, (u64, i64)>,
}

impl Watch {
    pub(super) fn new(origin: &FilesOrigin) -> Self {
        Self { pattern: origin.pattern.clone(), any_ending: origin.format.is_some(), last: HashMap::new() }
    }

    /// Files of this look that are those of the last one, oldest first: history is best taken in its order.
    pub(super) fn complete(&mut self, listed: Vec<ObjectInfo>) -> Vec<ObjectInfo> {
        let wanted: Vec<ObjectInfo> = listed.into_iter().filter(|file| self.wants(&file.path)).collect();
        let now: HashMap<String, (u64, i64)> =
            wanted.iter().map(|file| (file.path.clone(), (file.size, file.modified.0))).collect();
        let mut complete: Vec<ObjectInfo> =
            wanted.into_iter().filter(|file| self.last.get(&file.path) == now.get(&file.path)).collect();
        self.last = now;
        complete.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
        complete
    }

    fn wants(&self, path: &str) -> bool {
        let hidden = path.split('/').any(|part| part.starts_with('.') || part.starts_with('_'));
        let unfinished = UNFINISHED.iter().any(|ending| path.to_ascii_lowercase().ends_with(ending));
        if hidden || unfinished {
            return false;
        }
        match &self.pattern {
            Some(pattern) => matches(pattern.as_bytes(), path.as_bytes()),
            // Without a pattern, a README beside the data is no fault.
            None => self.any_ending || super::format_of(path).is_some(),
        }
    }
}

/// `*` stands for any characters, slashes too; `?` for one.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let (mut p, mut s) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = path.get(s) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, s));
                p += 1;
            }
            Some(b'?') => (p, s) = (p + 1, s + 1),
            Some(wanted) if wanted == byte => (p, s) = (p + 1, s + 1),
            // The last star takes one byte more.
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, s) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tidemill_types::Millis;

    fn origin(text: &str) -> FilesOrigin {
        serde_json::from_str(text).unwrap()
    }

    fn file(path: &str, size: u64, modified: i64) -> ObjectInfo {
        ObjectInfo { path: path.to_owned(), size, modified: Millis(modified) }
    }

    #[test]
    fn patterns_match_as_people_expect() {
        for (pattern, path, wanted) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.gz", false),
            ("in/*.csv", "in/x/a.csv", true),
            ("in/?.csv", "in/ab.csv", false),
            ("*a*b", "xaybab", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), path.as_bytes()), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn a_file_is_complete_when_it_was_the_same_twice() {
        let mut watch = Watch::new(&origin(r#"{"url": "file:///in"}"#));
        let names = |files: Vec<ObjectInfo>| files.into_iter().map(|file| file.path).collect::<Vec<_>>();
        let first = vec![file("b.csv", 5, 1), file("a.csv", 5, 2), file("grows.csv", 5, 3)];
        assert!(watch.complete(first).is_empty());
        let second = vec![
            file("b.csv", 5, 1),
            file("a.csv", 5, 2),
            file("grows.csv", 9, 4),
            file(".hidden.csv", 1, 1),
            file("x.csv.tmp", 1, 1),
            file("README.md", 1, 1),
        ];
        assert_eq!(names(watch.complete(second.clone())), ["b.csv", "a.csv"]);
        assert_eq!(names(watch.complete(second)), ["b.csv", "a.csv", "grows.csv"]);
    }
}
