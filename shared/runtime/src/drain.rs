//! The end of a process: stop taking work, finish what runs, flush, leave.

use crate::error::Error;
use crate::readiness::Readiness;
use crate::supervise::Supervisor;
use std::process::ExitCode;
use std::time::Duration;
use tidemill_types::Classified as _;
use tokio::sync::mpsc;

/// Requests to stop, from the system or from a test.
#[derive(Debug)]
pub struct Signals(mpsc::Receiver<&'static str>);

impl Signals {
    /// SIGTERM and SIGINT of this process.
    ///
    /// # Errors
    /// The system does not deliver signals.
    pub fn from_system() -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                    () = sender.closed() => return,
                };
                // Full means that nobody listens to the many that came before.
                let _ = sender.try_send(name);
            }
        });
        Ok(Self(receiver))
    }

    /// Requests that come from inside the process, by name. They end when the sender is dropped.
    #[must_use]
    pub fn from_channel(receiver: mpsc::Receiver<&'static str>) -> Self {
        Self(receiver)
    }

    async fn next(&mut self) -> &'static str {
        match self.0.recv().await {
            Some(name) => name,
            // Nobody can ask any more.
            None => std::future::pending().await,
        }
    }
}

/// How a process ended.
#[derive(Debug)]
pub struct Drained(pub Result<(), Error>);

impl Drained {
    /// 0 after a clean end, 130 after a second signal, otherwise as [`crate::exit_code`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match &self.0 {
            Ok(()) => 0,
            Err(Error::Interrupted { .. }) => 130,
            Err(error) => crate::errors::exit_code(error.kind()),
        }
    }
}

/// Waits for a signal or a failed task, then stops intake and waits for all tasks, at most `limit`.
///
/// Readiness falls first, so that no new work is sent here. A second signal, or the limit, cuts off what still runs.
/// Telemetry is flushed by the caller afterwards.
pub async fn drain(supervisor: &Supervisor, readiness: &Readiness, mut signals: Signals, limit: Duration) -> Drained {
    tokio::select! {
        name = signals.next() => tracing::info!("{name} received, draining"),
        () = supervisor.cancelled() => tracing::info!("draining"),
    }
    readiness.condition("accepting work").unmet("draining");
    supervisor.cancel();
    let cut_off = tokio::select! {
        () = supervisor.ended() => None,
        () = tokio::time::sleep(limit) => {
            Some(Error::DrainTimedOut { seconds: limit.as_secs(), tasks: supervisor.running() })
        }
        _ = signals.next() => Some(Error::Interrupted { tasks: supervisor.running() }),
    };
    supervisor.abort();
    let failure = supervisor.failure().map(Error::Task);
    // A failed task explains more than what it kept from ending.
    Drained(failure.or(cut_off).map_or(Ok(()), Err))
}

/// Runs a process on a multi-threaded runtime and does not wait for blocking work when it has ended.
///
/// # Errors
/// The runtime cannot be started.
pub fn block_on(process: impl Future<Output = u8>) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Start)?;
    let code = runtime.block_on(process);
    runtime.shutdown_background();
    Ok(ExitCode::from(code))
}
