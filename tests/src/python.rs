//! Python environments for tests that run other people's programs: made once per list of packages, then reused.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidemill_types::Digest;

const MEND: &str = "install Python 3 with venv and pip (Debian: apt-get install python3-venv python3-pip), and let pip \
                    reach a package index";

/// The interpreter of an environment with the packages of a requirements file, below the user's cache.
///
/// # Errors
/// When there is no Python with venv and pip, or the packages cannot be had; the text names the mend.
pub fn environment(name: &str, requirements: &Path) -> Result<PathBuf> {
    let wanted = std::fs::read(requirements).with_context(|| requirements.display().to_string())?;
    let folder = cache()?.join(format!("{name}-{}", Digest::of(&wanted).short()));
    let (python, complete) = (folder.join("bin/python"), folder.join("complete"));
    std::fs::create_dir_all(&folder)?;
    // Tests run side by side: one makes it, the others wait.
    let lock = File::create(folder.with_extension("lock"))?;
    lock.lock()?;
    if complete.is_file() {
        return Ok(python);
    }
    run(Path::new("python3"), ["-m".as_ref(), "venv".as_ref(), "--clear".as_ref(), folder.as_os_str()])?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(&python, install.into_iter().map(OsStr::new).chain([requirements.as_os_str()]))?;
    File::create(complete)?;
    Ok(python)
}

fn cache() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("tidemill"))
}

fn run<'a>(program: &Path, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<()> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("{} does not start; {MEND}", program.display()))?;
    if !output.status.success() {
        bail!("{} failed: {}\n{MEND}", program.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
