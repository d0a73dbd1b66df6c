//! Named tasks that live and end together.
//!
//! A task that fails or panics takes all others with it: half a service is worse than none, because it looks alive.

use crate::backoff::Backoff;
use crate::errors::chain;
use futures::FutureExt as _;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidemill_types::{Classified, Code, ErrorKind};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why a process could not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Name of the task.
    pub task: String,
    /// Kind of its error.
    pub kind: ErrorKind,
    /// Code of its error.
    pub code: Code,
    /// Its error with all causes.
    pub message: String,
}

/// Code of a task that panicked: a defect.
const PANICKED: Code = Code(22);

/// The tasks of a process. Clones share them.
#[derive(Clone, Debug)]
pub struct Supervisor {
    token: CancellationToken,
    tracker: TaskTracker,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    running: BTreeMap<u64, (String, AbortHandle)>,
    failure: Option<Failure>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// No task yet.
    #[must_use]
    pub fn new() -> Self {
        Self { token: CancellationToken::new(), tracker: TaskTracker::new(), state: Arc::default() }
    }

    /// A token that is cancelled when tasks are to end. Cancelling it does not end the others.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.child_token()
    }

    /// Runs a task. Its error or panic ends all tasks; its success ends only itself.
    ///
    /// The task is expected to watch [`Supervisor::token`] and to finish its work when that is cancelled.
    pub fn spawn<E>(
        &self,
        name: impl Into<String>,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> AbortHandle
    where
        E: Classified + Send + 'static,
    {
        let name = name.into();
        let supervisor = self.clone();
        // The task must not remove its name before it is written down: it starts when the state is unlocked.
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        let handle: JoinHandle<()> = self.tracker.spawn({
            let name = name.clone();
            async move {
                match AssertUnwindSafe(task).catch_unwind().await {
                    Ok(Ok(())) => tracing::debug!(task = name, "ended"),
                    Ok(Err(error)) => supervisor.fail(&name, error.kind(), error.code(), chain(&error)),
                    Err(payload) => supervisor.fail(&name, ErrorKind::Internal, PANICKED, panic_text(&*payload)),
                }
                supervisor.state().running.remove(&id);
            }
        });
        let abort = handle.abort_handle();
        state.running.insert(id, (name, abort.clone()));
        abort
    }

    /// Runs a task that is started again, after a wait with jitter, when it fails for a passing reason.
    ///
    /// Any other error ends all tasks, as with [`Supervisor::spawn`]. A run that lasted longer than a minute counts
    /// as a success: the next wait is short again.
    pub fn spawn_restarting<E, F>(
        &self,
        name: impl Into<String>,
        mut backoff: Backoff,
        mut start: impl FnMut(CancellationToken) -> F + Send + 'static,
    ) -> AbortHandle
    where
        E: Classified + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let name = name.into();
        let token = self.token();
        self.spawn(name.clone(), async move {
            loop {
                let started = tokio::time::Instant::now();
                let error = match start(token.clone()).await {
                    Err(error) if error.is_transient() && !token.is_cancelled() => error,
                    other => return other,
                };
                if started.elapsed().as_secs() > 60 {
                    backoff.reset();
                }
                tracing::warn!(task = name, code = %error.code(), error = chain(&error), "failed for a passing reason, starting again");
                drop(error);
                if !backoff.wait(&token).await {
                    return Ok(());
                }
            }
        })
    }

    /// Asks all tasks to end.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Waits until tasks are asked to end, by [`Supervisor::cancel`] or by a failure.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Waits until no task runs. Tasks spawned meanwhile are waited for too.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Names of the tasks that run.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        self.state().running.values().map(|(name, _)| name.clone()).collect()
    }

    /// Cuts off whatever still runs.
    pub fn abort(&self) {
        self.token.cancel();
        for (_, handle) in std::mem::take(&mut self.state().running).into_values() {
            handle.abort();
        }
    }

    /// The first failure.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.state().failure.clone()
    }

    fn fail(&self, task: &str, kind: ErrorKind, code: Code, message: String) {
        tracing::error!(task, %code, error = message, "task failed, ending the process");
        let failure = Failure { task: task.to_owned(), kind, code, message };
        self.state().failure.get_or_insert(failure);
        self.token.cancel();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held; a poisoned one is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.unwrap_or_else(|| "without a message".to_owned()))
}
