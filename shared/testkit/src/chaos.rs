//! A child process that is killed without warning, for crash tests.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// A program under test, its output in a file, killed on drop.
#[derive(Debug)]
pub struct Victim {
    child: Child,
    log: PathBuf,
}

impl Victim {
    /// Starts `program` with `arguments` and additional environment variables; its output goes to `log`.
    ///
    /// # Errors
    /// When the program cannot be started or the log cannot be written.
    pub fn spawn<A, E>(program: &Path, arguments: A, environment: E, log: &Path) -> Result<Self>
    where
        A: IntoIterator,
        A::Item: AsRef<OsStr>,
        E: IntoIterator<Item = (String, String)>,
    {
        let open = || File::options().create(true).append(true).open(log);
        let context = || format!("log {}", log.display());
        let child = Command::new(program)
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(open().with_context(context)?)
            .stderr(open().with_context(context)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Process id, `None` once it has been waited for.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Largest resident memory so far, in bytes.
    ///
    /// # Errors
    /// When it has been waited for, or the system does not tell.
    pub fn peak_bytes(&self) -> Result<u64> {
        let pid = self.pid().context("the process has ended")?;
        let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1_024)
    }

    /// SIGKILL (`kill -9`), and waits until the process is gone.
    ///
    /// # Errors
    /// When it has been waited for already.
    pub async fn kill(&mut self) -> Result<ExitStatus> {
        self.child.start_kill().context("kill the process")?;
        self.child.wait().await.context("wait for the killed process")
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    /// When it has not ended within `timeout`.
    pub async fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        match tokio::time::timeout(timeout, self.child.wait()).await {
            Ok(status) => status.context("wait for the process"),
            Err(_) => bail!("still running after {timeout:?}; its log: {}", self.log.display()),
        }
    }

    /// Waits until the log contains `text`.
    ///
    /// # Errors
    /// When the process ends or `timeout` passes before; the message carries the end of the log.
    pub async fn wait_for_log(&mut self, text: &str, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            let ended = self.child.try_wait().context("look at the process")?;
            let log = String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned();
            if log.contains(text) {
                return Ok(());
            }
            if ended.is_some() || Instant::now() >= deadline {
                let mut last: Vec<&str> = log.lines().rev().take(20).collect();
                last.reverse();
                bail!("{text:?} did not appear (ended: {ended:?}); the log ends with:\n{}", last.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// File with everything the process printed.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[tokio::test]
    async fn a_victim_is_killed_by_signal_nine() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let environment = [("WORD".to_owned(), "ready".to_owned())];
        let script = ["-c", "echo is $WORD; exec sleep 60"];
        let mut victim = Victim::spawn(Path::new("/bin/sh"), script, environment, &log).unwrap();
        victim.wait_for_log("is ready", Duration::from_secs(10)).await.unwrap();
        assert!(victim.wait(Duration::from_millis(50)).await.is_err());
        assert_eq!(victim.kill().await.unwrap().signal(), Some(9));
        assert!(victim.wait_for_log("never", Duration::from_secs(10)).await.is_err());
    }
}
