//! `dead`: events that were refused, why, and how they get in after all, or are put aside for good.

mod book;
mod discard;
mod letters;
mod replay;
mod summary;

use super::masking::Unmask;
use super::output::{Output, next};
use super::target::Target;
use crate::error::Result;
use book::Book;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use tidemill_contracts::letters::LetterState;
use tidemill_types::SourceName;

const EXAMPLES: &str = "\
Examples:
  tidemill dead summary                           reasons, most frequent first
  tidemill dead ls --source weather --state open
  tidemill dead show 17
  tidemill dead replay 17 --file mended.json      - reads the mended event from standard input
  tidemill dead replay --source weather --code TM0312      after the spec was mended
  tidemill dead discard 17 18 --reason 'test device'
A letter stays as it is; what became of it is noted beside it. One that is replayed twice lands once, while its id is
among the newest ingestion.dedupe_messages of its source.";

/// `tidemill dead …`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum DeadCommand {
    /// List dead letters.
    #[command(after_help = EXAMPLES)]
    Ls(Choice),
    /// Count dead letters by source, code and reason.
    #[command(after_help = EXAMPLES)]
    Summary(Choice),
    /// Show one, with its body and what became of it.
    #[command(after_help = EXAMPLES)]
    Show {
        /// Its number, as `dead ls` shows it.
        #[arg(value_name = "SEQ")]
        seq: u64,
        #[command(flatten)]
        unmask: Unmask,
    },
    /// Publish the events of open letters again, mended or as they are.
    #[command(after_help = EXAMPLES)]
    Replay {
        /// Numbers of the letters; without any, all open ones that the other options choose, oldest first.
        #[arg(value_name = "SEQ")]
        seqs: Vec<u64>,
        #[command(flatten)]
        choice: Choice,
        /// The mended event as JSON, for one open letter; `-` reads it from standard input.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Also those that were replayed or discarded before.
        #[arg(long)]
        again: bool,
        /// Who replays them.
        #[arg(long, env = "USER", default_value = "unknown", hide_env_values = true, value_name = "NAME")]
        by: String,
    },
    /// Say that letters are not needed; they stay, but are no longer open.
    #[command(after_help = EXAMPLES)]
    Discard {
        /// Numbers of the letters; without any, all open ones that the other options choose, oldest first.
        #[arg(value_name = "SEQ")]
        seqs: Vec<u64>,
        #[command(flatten)]
        choice: Choice,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Who discards them.
        #[arg(long, env = "USER", default_value = "unknown", hide_env_values = true, value_name = "NAME")]
        by: String,
    },
}

/// Which letters.
#[derive(Debug, Args)]
pub(super) struct Choice {
    /// Of this source only.
    #[arg(long, value_name = "SOURCE")]
    source: Option<SourceName>,
    /// With this code only, such as TM0312.
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// In this state only.
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<State>,
    /// At most so many: listed are the newest, 1000 unless told otherwise; counted all, or the newest; replayed and
    /// discarded the oldest.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    /// Nothing yet.
    Open,
    /// Published again.
    Replayed,
    /// Put aside.
    Discarded,
}

impl From<State> for LetterState {
    fn from(state: State) -> Self {
        match state {
            State::Open => Self::Open,
            State::Replayed => Self::Replayed,
            State::Discarded => Self::Discarded,
        }
    }
}

/// Runs the command.
pub(super) async fn run(target: &Target, out: Output, command: DeadCommand) -> Result<u8> {
    let bus = target.bus().await?;
    let project = target.project().await?;
    let mut book = Book::open(&bus, &project).await?;
    match command {
        DeadCommand::Ls(choice) => {
            let rows = letters::newest(&bus, &project, book, &choice, letters::row).await?;
            out.rows(&["seq", "source", "state", "code", "reason", "position", "event_seq", "row", "at"], &rows)?;
            next(if rows.is_empty() { "tidemill status" } else { "tidemill dead show SEQ" });
            Ok(0)
        }
        DeadCommand::Summary(choice) => {
            let rows = summary::of(&bus, &project, book, &choice).await?.rows();
            let columns =
                ["source", "code", "reason", "letters", "open", "replayed", "discarded", "first", "last", "example"];
            out.rows(&columns, &rows)?;
            next(if rows.is_empty() { "tidemill status" } else { "tidemill dead show EXAMPLE" });
            Ok(0)
        }
        DeadCommand::Show { seq, unmask } => {
            let letter = letters::one(&bus, &project, seq).await?;
            book.turn_to(std::iter::once(seq)).await?;
            let shown = letters::shown(&letter, &book);
            let spec = target.spec(&bus).await?;
            let declared = letters::source_of(&project, &letter).and_then(|source| spec.sources.get(&source));
            out.record(&unmask.letter(target, &format!("dead letter {seq}"), declared, shown).await?)?;
            next(&format!("mend the event in a file, then: tidemill dead replay {seq} --file mended.json"));
            Ok(0)
        }
        DeadCommand::Replay { seqs, choice, file, again, by } => {
            let spec = target.spec(&bus).await?;
            let request = replay::Request { seqs, choice, file, again, by };
            replay::run(&bus, &spec, book, out, request).await
        }
        DeadCommand::Discard { seqs, choice, reason, by } => {
            discard::run(&bus, &project, book, out, discard::Request { seqs, choice, reason, by }).await
        }
    }
}
