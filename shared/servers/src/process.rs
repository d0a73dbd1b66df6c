//! A child process that never outlives its parent.
//!
//! Linux sends the "parent died" signal when the *thread* that forked ends, not the process. Runtime threads come
//! and go, so all children are started by one thread that lives as long as the process.

use crate::error::{Error, Result};
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How often an ending process is looked at.
const POLL: Duration = Duration::from_millis(10);

/// A running server process, killed on drop.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts `command` with its output appended to `log`.
    pub(crate) async fn spawn(mut command: Command, log: PathBuf) -> Result<Self> {
        let open = || -> io::Result<(std::fs::File, std::fs::File)> {
            let file = OpenOptions::new().create(true).append(true).open(&log)?;
            Ok((file.try_clone()?, file))
        };
        let (out, err) = open().map_err(Error::io(format!("open {}", log.display())))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = spawn_from_lasting_thread(command).await.map_err(Error::io(format!("start {program}")))?;
        Ok(Self { child, log })
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// File with everything the server printed.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The exit status if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().map_err(Error::io("kill the server"))?;
        self.wait(Duration::from_secs(10)).await.map(|_| ())
    }

    /// SIGTERM, then SIGKILL when it has not ended within `patience`.
    pub(crate) async fn stop(&mut self, patience: Duration) -> Result<()> {
        if self.ended().is_some() {
            return Ok(());
        }
        terminate(&self.child).map_err(Error::io("stop the server"))?;
        if self.wait(patience).await.is_ok() {
            return Ok(());
        }
        tracing::warn!(pid = self.pid(), "server did not stop within {patience:?}, killing it");
        self.kill().await
    }

    async fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().map_err(Error::io("wait for the server"))? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                let source = io::Error::new(io::ErrorKind::TimedOut, format!("still running after {patience:?}"));
                return Err(Error::Io { action: "wait for the server".to_owned(), source });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Last lines of the log, for error messages.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type SpawnRequest = (Command, oneshot::Sender<io::Result<Child>>);

async fn spawn_from_lasting_thread(mut command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<SpawnRequest>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<SpawnRequest>();
        let serve = move || {
            for (mut command, answer) in receiver {
                if let Err(Ok(mut child)) = answer.send(command.spawn()) {
                    // Whoever asked has gone away; nobody else would end this child.
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        };
        // If the thread cannot be made, its receiver is dropped and every request says so.
        if let Err(error) = std::thread::Builder::new().name("child-spawner".to_owned()).spawn(serve) {
            tracing::error!("cannot start the thread that starts servers: {error}");
        }
        sender
    });
    apart_from_terminal(&mut command);
    die_with_parent(&mut command);
    let (answer, answered) = oneshot::channel();
    spawner.send((command, answer)).map_err(|_| io::Error::other("the thread that starts servers is gone"))?;
    answered.await.map_err(|_| io::Error::other("the thread that starts servers is gone"))?
}

/// Ctrl-C reaches every process of the terminal's group; a server must outlive the drain of those that use it.
fn apart_from_terminal(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the only way to tie a child's life to ours; the hook makes two plain system calls")]
fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls are made: prctl and getppid allocate nothing and
    // take no lock.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the call above.
            if u32::try_from(libc::getppid()) != Ok(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_command: &mut Command) {}

#[cfg(unix)]
#[expect(unsafe_code, reason = "std has no way to send SIGTERM")]
fn terminate(child: &Child) -> io::Result<()> {
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    // SAFETY: kill takes two integers; the child has not been waited for, so its id has not been given to another.
    if unsafe { libc::kill(pid, libc::SIGTERM) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(unix))]
fn terminate(_child: &Child) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this platform has no gentle stop"))
}
