//! The folder of the demo: begun empty each time, and nobody else's data removed for it.

use crate::instance::RunFile;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

/// A file that says that a folder was filled by a demo and may be emptied by the next.
const MARK: &str = ".tidemill-demo";

/// Empties what an earlier demo left and marks the folder.
///
/// # Errors
/// A folder with anything in it that no demo put there, one in which an instance runs, or one that cannot be written.
pub(super) fn emptied(dir: &Path) -> Result<PathBuf> {
    let shown = dir.display();
    if let Some(running) = RunFile::find(dir)? {
        anyhow::bail!(
            "an instance runs in {shown} (process {}): end it with `tidemill down --data-dir {shown}`, or name another \
             folder with --data-dir",
            running.pid
        );
    }
    if dir.exists() && !is_empty(dir)? {
        ensure!(
            dir.join(MARK).is_file(),
            "{shown} holds files that no demo made, and the demo would remove them: name an empty folder with --data-dir, \
             or remove it yourself"
        );
        std::fs::remove_dir_all(dir).with_context(|| format!("empty {shown}"))?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("make {shown}"))?;
    std::fs::write(dir.join(MARK), "").with_context(|| format!("write to {shown}"))?;
    Ok(dir.canonicalize()?)
}

fn is_empty(dir: &Path) -> Result<bool> {
    let mut entries = std::fs::read_dir(dir).with_context(|| format!("look into {}", dir.display()))?;
    Ok(entries.next().is_none())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_what_a_demo_made_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("new");
        let made = emptied(&dir).unwrap();
        std::fs::write(made.join("state"), "of a demo").unwrap();
        emptied(&dir).unwrap();
        assert!(!made.join("state").exists(), "what an earlier demo left is gone");

        let own = folder.path().join("own");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("thesis.txt"), "years").unwrap();
        let refused = emptied(&own).unwrap_err().to_string();
        assert!(refused.contains("no demo made"), "{refused}");
        assert!(own.join("thesis.txt").exists());
    }
}
