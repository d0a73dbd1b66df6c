//! What can go wrong in the composition root and the command line, with the way out.

use std::path::{Path, PathBuf};
use tidemill_features::FeatureError;
use tidemill_runtime::errors::{chain, status_code_text};
use tidemill_spec::{SpecProblem, locate};
use tidemill_types::{Classified, Code, ErrorKind};

/// Result of the composition root.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// A failure of the composition root or of a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] tidemill_bus::Error),
    /// The object store.
    #[error(transparent)]
    Storage(#[from] tidemill_storage::Error),
    /// A table.
    #[error(transparent)]
    Dataset(#[from] tidemill_dataset::Error),
    /// A question about lineage.
    #[error(transparent)]
    Provenance(#[from] tidemill_provenance::Error),
    /// Configuration or process conduct.
    #[error(transparent)]
    Runtime(#[from] tidemill_runtime::Error),
    /// A server program.
    #[error(transparent)]
    Servers(#[from] tidemill_servers::Error),
    /// A project spec.
    #[error(transparent)]
    Spec(#[from] tidemill_spec::SpecError),
    /// A project file of the user that was refused, with its text.
    #[error("{} is refused: {reason}", file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// Its text.
        text: String,
        /// What is wrong in it.
        reason: Box<Error>,
    },
    /// The model registry or its keys.
    #[error(transparent)]
    Registry(#[from] tidemill_registry::Error),
    /// Features that cannot be compiled.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// Looking for personal data.
    #[error(transparent)]
    Privacy(#[from] tidemill_privacy::PrivacyError),
    /// Quality rules or a data contract.
    #[error(transparent)]
    Quality(#[from] tidemill_quality::QualityError),
    /// What partners may read.
    #[error(transparent)]
    Share(#[from] tidemill_validation::share::ShareError),
    /// A table that cannot be explored.
    #[error(transparent)]
    Explore(#[from] tidemill_explore::Error),
    /// A file that is not what its name says, or damaged.
    #[error("{path}, {place}: {reason}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: String,
        /// What is wrong there.
        reason: String,
        /// What to do about it.
        mend: &'static str,
    },
    /// Events that cannot be encoded.
    #[error(transparent)]
    Conform(#[from] tidemill_conform::Error),
    /// A file or an address that rows are read from.
    #[error(transparent)]
    Sources(#[from] tidemill_sources::Error),
    /// Logs, traces or metrics.
    #[error("telemetry: {0}")]
    Telemetry(#[from] tidemill_telemetry::Error),
    /// A replay or the demo.
    #[error("{0:#}")]
    Story(anyhow::Error),
    /// A service refused a call.
    #[error("{call}: {}", .status.message())]
    Remote {
        /// What was asked.
        call: String,
        /// What the service said.
        status: Box<tonic::Status>,
    },
    /// A file of the user.
    #[error("cannot {action} {}: {reason}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        reason: String,
    },
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Nothing runs that could answer.
    #[error("no running instance was found: {0}")]
    NoInstance(String),
    /// No project is applied, or it is not clear which is meant.
    #[error("{0}")]
    NoProject(String),
    /// Something named does not exist.
    #[error("there is no {what} \"{name}\"")]
    NotFound {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// The command that lists what there is.
        list: &'static str,
    },
    /// No error has this code.
    #[error("there is no error {code}; the nearest are {}", near.join(", "))]
    NoPage {
        /// The code that was asked for.
        code: String,
        /// Those that exist.
        near: Vec<String>,
    },
    /// A table that a service writes was to be put back in place.
    #[error("{table} is written by {role}, and is its place in the events: rows would be lost or come twice")]
    Owned {
        /// The table.
        table: String,
        /// Who writes it.
        role: &'static str,
        /// The state that was asked for.
        to: String,
    },
    /// A dead letter of which something became already.
    #[error("letter {seq} was {state} before")]
    Closed {
        /// Its number.
        seq: u64,
        /// What became of it.
        state: &'static str,
        /// What to do about it.
        mend: &'static str,
    },
    /// Rows that do not fit the source.
    #[error("{path}: {reason}", path = .path.display())]
    Rows {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// An instance runs already in this data folder.
    #[error("an instance runs already here: process {0}")]
    Running(u32),
    /// A role did not come up.
    #[error("not ready after {seconds} s: {unmet}")]
    NotReady {
        /// How long was waited.
        seconds: u64,
        /// What is missing.
        unmet: String,
    },
    /// A process did not end.
    #[error("process {pid} still runs {seconds} s after SIGTERM")]
    StillRunning {
        /// The process.
        pid: u32,
        /// How long was waited.
        seconds: u64,
    },
    /// Some of several things were done.
    #[error("{done} of {all} {what} done; {failed}")]
    Partial {
        /// How many were done.
        done: usize,
        /// How many were asked for.
        all: usize,
        /// What they are.
        what: &'static str,
        /// The first that failed, and why.
        failed: String,
    },
    /// Standard output does not take what is written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// A failed action on a file.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |e| Self::File { action, path, reason: e.to_string() }
    }

    /// Adds file and text to the refusal of a project file, so that its lines can be shown.
    pub(crate) fn in_file(file: &Path, text: &str) -> impl FnOnce(Self) -> Self {
        move |error| match error {
            Self::Spec(_) | Self::Features(_) => {
                Self::Refused { file: file.to_owned(), text: text.to_owned(), reason: Box::new(error) }
            }
            other => other,
        }
    }

    /// What is wrong in a project file, each with its place when it has one; empty for any other failure.
    pub(crate) fn problems(&self) -> Vec<SpecProblem> {
        match self {
            Self::Spec(refused) => refused.problems().to_vec(),
            Self::Refused { reason, text, .. } => match reason.as_ref() {
                Self::Features(refused) => vec![feature_problem(refused, text)],
                other => other.problems(),
            },
            _ => Vec::new(),
        }
    }

    /// A refused call.
    pub(crate) fn remote(call: impl Into<String>) -> impl FnOnce(tonic::Status) -> Self {
        let call = call.into();
        move |status| Self::Remote { call, status: Box::new(status) }
    }

    /// Exit code of a command: 1 failed, 2 usage, 3 a check said no, 4 unreachable, 5 partial.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Partial { .. } => 5,
            _ => tidemill_runtime::exit_code(self.kind()),
        }
    }

    /// The code as users see it; the one of the service when a service refused.
    pub(crate) fn shown_code(&self) -> String {
        if let Self::Remote { status, .. } = self
            && let Some(code) = status_code_text(status)
        {
            return code.to_owned();
        }
        self.code().to_string()
    }

    /// The whole text in one line.
    pub(crate) fn text(&self) -> String {
        chain(self)
    }

    /// What to do about it, when something general helps.
    pub(crate) fn mend(&self) -> Option<String> {
        let text = match self {
            Self::NoProject(_) => "apply one: tidemill project apply infra/examples/flights/project.yaml".to_owned(),
            Self::NotFound { list, .. } => format!("see what there is: {list}"),
            Self::Unreadable { mend, .. } | Self::Closed { mend, .. } => (*mend).to_owned(),
            Self::Owned { table, to, .. } => {
                format!("put it beside: tidemill dataset restore {table} --to {to} --into NAME --reason TEXT")
            }
            Self::NoPage { .. } => "see all of them: tidemill explain".to_owned(),
            Self::Running(_) => "look at it with: tidemill status; end it with: tidemill down".to_owned(),
            Self::NotReady { .. } => "the log above says what the role waits for".to_owned(),
            Self::StillRunning { pid, .. } => format!("end it at once: kill -9 {pid}"),
            Self::Partial { .. } => "repeat the command: what is done already is not done twice".to_owned(),
            Self::Telemetry(_) => "see [telemetry] in the configuration".to_owned(),
            // A service that answers says itself what it lacks.
            Self::Remote { status, .. } if status_code_text(status).is_some() => return None,
            _ if self.kind() == ErrorKind::Unavailable => {
                "start an instance with: tidemill up; or name a running bus: --set bus.url=nats://HOST:4222".to_owned()
            }
            _ => return None,
        };
        Some(text)
    }
}

/// The kind of an error that came through `anyhow`, when it is one of ours.
fn told(error: &anyhow::Error) -> Option<(ErrorKind, Code)> {
    macro_rules! any_of {
        ($($type:ty),*) => {
            error.chain().find_map(|e| {
                $(if let Some(e) = e.downcast_ref::<$type>() { return Some((e.kind(), e.code())); })*
                None
            })
        };
    }
    any_of!(
        Error,
        tidemill_bus::Error,
        tidemill_storage::Error,
        tidemill_dataset::Error,
        tidemill_runtime::Error,
        tidemill_servers::Error,
        tidemill_spec::SpecError,
        tidemill_registry::Error,
        FeatureError
    )
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Bus(e) => e.kind(),
            Self::Storage(e) => e.kind(),
            Self::Dataset(e) => e.kind(),
            Self::Provenance(e) => e.kind(),
            Self::Runtime(e) => e.kind(),
            Self::Servers(e) => e.kind(),
            Self::Spec(e) => e.kind(),
            Self::Refused { reason, .. } => reason.kind(),
            Self::Registry(e) => e.kind(),
            Self::Features(e) => e.kind(),
            Self::Quality(e) => e.kind(),
            Self::Share(e) => e.kind(),
            Self::Explore(e) => e.kind(),
            Self::Unreadable { .. } => ErrorKind::Corrupt,
            Self::Conform(e) => e.kind(),
            Self::Sources(e) => e.kind(),
            Self::Privacy(e) => e.kind(),
            Self::Story(e) => told(e).map_or(ErrorKind::Internal, |(kind, _)| kind),
            Self::Remote { status, .. } => remote_kind(status.code()),
            Self::File { .. } | Self::Usage(_) | Self::Rows { .. } => ErrorKind::Invalid,
            Self::Telemetry(e) => e.kind(),
            Self::NoInstance(_) => ErrorKind::Unavailable,
            Self::NoProject(_) | Self::NotFound { .. } | Self::NoPage { .. } => ErrorKind::NotFound,
            Self::Running(_) | Self::Closed { .. } => ErrorKind::Conflict,
            Self::Owned { .. } => ErrorKind::Refused,
            Self::NotReady { .. } | Self::StillRunning { .. } => ErrorKind::TimedOut,
            Self::Partial { .. } | Self::Output(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Bus(e) => e.code(),
            Self::Storage(e) => e.code(),
            Self::Dataset(e) => e.code(),
            Self::Provenance(e) => e.code(),
            Self::Runtime(e) => e.code(),
            Self::Servers(e) => e.code(),
            Self::Spec(e) => e.code(),
            Self::Refused { reason, .. } => reason.code(),
            Self::Registry(e) => e.code(),
            Self::Features(e) => e.code(),
            Self::Quality(e) => e.code(),
            Self::Share(e) => e.code(),
            Self::Explore(e) => e.code(),
            Self::Unreadable { .. } => Code(1515),
            Self::Conform(e) => e.code(),
            Self::Sources(e) => e.code(),
            Self::Privacy(e) => e.code(),
            Self::Story(e) => told(e).map_or(Code(1500), |(_, code)| code),
            Self::Remote { .. } => Code(1501),
            Self::File { .. } => Code(1502),
            Self::Usage(_) => Code(1503),
            Self::NoInstance(_) => Code(1504),
            Self::NoProject(_) => Code(1505),
            Self::NotFound { .. } => Code(1506),
            Self::Rows { .. } => Code(1507),
            Self::Running(_) => Code(1508),
            Self::NotReady { .. } => Code(1509),
            Self::StillRunning { .. } => Code(1510),
            Self::Partial { .. } => Code(1511),
            Self::Output(_) => Code(1512),
            Self::Telemetry(e) => e.code(),
            Self::NoPage { .. } => Code(1514),
            Self::Owned { .. } => Code(1530),
            Self::Closed { .. } => Code(1540),
        }
    }
}

/// A feature set that cannot be compiled, as a problem of the project file.
fn feature_problem(refused: &FeatureError, text: &str) -> SpecProblem {
    let (path, message) = match refused {
        FeatureError::Expression { place, source } => (place.clone(), source.to_string()),
        FeatureError::Definition { place, message } => (place.clone(), message.clone()),
        other => ("features".to_owned(), other.to_string()),
    };
    let (line, column) = locate(text, &path).unzip();
    SpecProblem { path, line, column, message, mend: None }
}

fn remote_kind(code: tonic::Code) -> ErrorKind {
    use tonic::Code;
    match code {
        Code::InvalidArgument | Code::OutOfRange => ErrorKind::Invalid,
        Code::NotFound => ErrorKind::NotFound,
        Code::Aborted | Code::AlreadyExists => ErrorKind::Conflict,
        Code::FailedPrecondition => ErrorKind::Refused,
        Code::PermissionDenied | Code::Unauthenticated => ErrorKind::Denied,
        Code::DeadlineExceeded | Code::Cancelled => ErrorKind::TimedOut,
        Code::ResourceExhausted => ErrorKind::Overloaded,
        Code::Unavailable => ErrorKind::Unavailable,
        Code::DataLoss => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    }
}
