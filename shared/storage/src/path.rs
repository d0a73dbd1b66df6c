//! Object paths that mean the same on every store and cannot leave it.

use crate::error::Error;
use object_store::path::Path;

/// Checks a relative path of plain segments: letters, digits and `._-=+@,` in any script's ASCII, no `.` or `..`.
pub(crate) fn checked(path: &str) -> Result<Path, Error> {
    let refused = || Error::Path(path.to_owned());
    if path.is_empty() || path.len() > 900 || !path.split('/').all(is_plain) {
        return Err(refused());
    }
    let parsed = Path::parse(path).map_err(|_| refused())?;
    if parsed.as_ref() == path { Ok(parsed) } else { Err(refused()) }
}

fn is_plain(segment: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-=+@,".contains(&b);
    !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_leave_the_store_are_refused() {
        for bad in ["", "/etc/passwd", "a/../b", "..", "a//b", "a/", "./a", "a\\b", "a\0", "a%2e", "a b", "é", "a#1"] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "raw/flights/_delta_log/00000000000000000001.json", "date=2013-01-01/part-1.parquet"] {
            assert!(checked(good).is_ok(), "{good}");
        }
    }
}
