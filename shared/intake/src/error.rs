//! What can stop an intake.

use tidemill_bus::Error as BusError;
use tidemill_types::{Classified, Code, ErrorKind};

/// Why an intake stopped or could not start.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The table failed.
    #[error(transparent)]
    Table(#[from] tidemill_dataset::Error),
    /// The stream ends before the sequence that the table already holds: the bus lost data.
    #[error(
        "stream {stream} ends at {stream_last} but table {table} already holds {table_done}: the bus lost messages. \
         Restore the stream, or re-create it so that it gets a new incarnation"
    )]
    Epoch {
        /// The stream.
        stream: String,
        /// Its last sequence.
        stream_last: i64,
        /// The table.
        table: String,
        /// The last sequence in the table.
        table_done: i64,
    },
    /// The stream has already dropped messages that the table does not hold.
    #[error("stream {stream} begins at {first} but table {table} holds only up to {done}: messages expired unread")]
    Expired {
        /// The stream.
        stream: String,
        /// Its first sequence.
        first: i64,
        /// The table.
        table: String,
        /// The last sequence in the table.
        done: i64,
    },
    /// The store lost part of the newest versions of a table, and the stream no longer has what they held.
    #[error(
        "the store lost part of table {table} behind version {whole} ({reason}), and stream {stream}, which begins at \
         {first}, no longer has what came after {done}"
    )]
    Lost {
        /// The table.
        table: String,
        /// Its last whole version, or "none".
        whole: String,
        /// What is lost.
        reason: String,
        /// The stream.
        stream: String,
        /// Its first sequence.
        first: i64,
        /// The last sequence in the whole version.
        done: i64,
    },
    /// There is no such stream, or no longer.
    #[error(
        "stream {stream}, from which table {table} is filled, is not there: whatever of it was not read is lost. Restore \
         it, or apply the project again and accept the stream that is made anew"
    )]
    Gone {
        /// The stream.
        stream: String,
        /// The table.
        table: String,
    },
    /// The stream is another one than the table was filled from.
    #[error(
        "stream {incarnation} was made anew since table {table} was filled{from}: whatever was not read of the one \
         before is lost. Restore that, or accept this one with: tidemill source accept-stream"
    )]
    MadeAnew {
        /// Incarnation of the stream.
        incarnation: String,
        /// The table.
        table: String,
        /// What is known of the one before.
        from: String,
    },
    /// What is refused cannot be set aside.
    #[error(
        "the dead letters are full, so no event of table {table} can be refused and its source waits: {reason}. Raise \
         bus.dead_letters and apply the project again, or purge old letters"
    )]
    LettersFull {
        /// The table.
        table: String,
        /// The server's words.
        reason: String,
    },
    /// A head that is no head.
    #[error("head of table {table} is damaged: {reason}")]
    BadHead {
        /// The table.
        table: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Classified for IntakeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Bus(e) => e.kind(),
            Self::Table(e) => e.kind(),
            Self::Epoch { .. }
            | Self::Expired { .. }
            | Self::Lost { .. }
            | Self::BadHead { .. }
            | Self::MadeAnew { .. } => ErrorKind::Corrupt,
            Self::Gone { .. } => ErrorKind::NotFound,
            Self::LettersFull { .. } => ErrorKind::Overloaded,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Bus(e) => e.code(),
            Self::Table(e) => e.code(),
            Self::Epoch { .. } => Code(401),
            Self::Expired { .. } => Code(402),
            Self::BadHead { .. } => Code(403),
            // 404 is a letter, not an error.
            Self::Gone { .. } => Code(405),
            Self::MadeAnew { .. } => Code(406),
            Self::LettersFull { .. } => Code(407),
            Self::Lost { .. } => Code(408),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            // Every pass begins at the table's cursor and may be repeated, so an unknown outcome passes here, and so
            // does a stream that is being made, made anew or not yet recovered by its server.
            Self::Bus(e) => !matches!(
                e,
                BusError::Denied(_)
                    | BusError::ServerTooOld { .. }
                    | BusError::Unsafe { .. }
                    | BusError::TooLarge { .. }
                    | BusError::Malformed(_)
                    | BusError::Behind { .. }
                    | BusError::Rewritten { .. }
            ),
            // A table that is gone is one that the store lost as a whole: it is made anew.
            Self::Table(e) => e.is_transient() || matches!(e, tidemill_dataset::Error::Absent { .. }),
            _ => false,
        }
    }
}
