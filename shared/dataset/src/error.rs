//! Why a table or file could not be read or written.

use tidemill_types::{Classified, Code, ErrorKind};

/// A failed operation on a table or Parquet file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object store failed.
    #[error(transparent)]
    Storage(#[from] tidemill_storage::Error),
    /// There is no table at this path, or not at this version.
    #[error("there is no table \"{table}\"{at}", at = version.map(|v| format!(" at version {v}")).unwrap_or_default())]
    Absent {
        /// Path of the table in the store.
        table: String,
        /// The version asked for; `None` for any.
        version: Option<u64>,
    },
    /// The table stands under another schema than the caller's.
    #[error("the schema of table \"{table}\" differs: it has {found}, expected {expected}")]
    SchemaDiffers {
        /// Path of the table in the store.
        table: String,
        /// The table's columns.
        found: String,
        /// The caller's columns.
        expected: String,
    },
    /// A column type that Delta tables lack.
    #[error("column \"{column}\" has type {data_type}, which a table cannot hold")]
    Type {
        /// Name of the column.
        column: String,
        /// Its Arrow type.
        data_type: String,
    },
    /// A column that the table or file lacks.
    #[error("there is no column \"{0}\"")]
    Column(String),
    /// Another program changed the table in a way this crate never does.
    #[error("version {version} of table \"{table}\" holds a {action}, which only another program writes")]
    Foreign {
        /// Path of the table in the store.
        table: String,
        /// The version.
        version: u64,
        /// The action.
        action: &'static str,
    },
    /// Stored bytes are damaged.
    #[error("\"{path}\" is damaged: {reason}")]
    Corrupt {
        /// Path of the object in the store.
        path: String,
        /// What the decoder said.
        reason: String,
    },
    /// Rows could not be put into a file.
    #[error("cannot encode rows: {0}")]
    Encode(String),
    /// The Delta library could not read or check-point the table.
    #[error("cannot {action} table \"{table}\": {reason}")]
    Delta {
        /// `load` or `checkpoint`.
        action: &'static str,
        /// Path of the table in the store.
        table: String,
        /// What the library said.
        reason: String,
    },
    /// A follower of the table must begin again: the store lost versions that it had seen, or all rows were made anew.
    #[error("table \"{table}\" is no longer what was followed: it was written anew and stands at version {version}")]
    Rewritten {
        /// Path of the table in the store.
        table: String,
        /// The version at which it stands.
        version: u64,
    },
    /// A text that cannot be a tag.
    #[error("\"{0}\" cannot be a tag: lower-case letters, digits, \"-\", \"_\" and \".\", a letter first, at most 64")]
    TagName(String),
    /// The tag stands for something else, or was dropped.
    #[error("the tag \"{0}\" was given before, to other versions; tags do not move")]
    TagTaken(String),
    /// Nobody gave such a tag.
    #[error("there is no tag \"{0}\"")]
    NoTag(String),
    /// An earlier state cannot be brought back, as its files are gone.
    #[error("version {version} of table \"{table}\" cannot be restored: its file \"{file}\" was vacuumed")]
    Vacuumed {
        /// Path of the table in the store.
        table: String,
        /// The version that was wanted.
        version: u64,
        /// The first of its files that is gone.
        file: String,
    },
    /// A table that was to be made is there.
    #[error("there is a table \"{0}\" already")]
    Taken(String),
    /// Distributions could not be compared.
    #[error("cannot compare distributions: {0}")]
    Compare(#[from] tidemill_stats::Error),
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Storage(e) => e.kind(),
            Self::Absent { .. } => ErrorKind::NotFound,
            Self::SchemaDiffers { .. } | Self::Type { .. } | Self::Column(_) => ErrorKind::Invalid,
            Self::Foreign { .. } => ErrorKind::Refused,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Encode(_) => ErrorKind::Internal,
            // Whoever begins again at the table's cursor goes on.
            Self::Delta { .. } | Self::Rewritten { .. } => ErrorKind::Unavailable,
            Self::TagName(_) => ErrorKind::Invalid,
            Self::TagTaken(_) | Self::Taken(_) => ErrorKind::Conflict,
            Self::NoTag(_) | Self::Vacuumed { .. } => ErrorKind::NotFound,
            Self::Compare(e) => e.kind(),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Storage(e) => e.code(),
            Self::Absent { .. } => Code(511),
            Self::SchemaDiffers { .. } => Code(512),
            Self::Type { .. } => Code(513),
            Self::Column(_) => Code(514),
            Self::Foreign { .. } => Code(515),
            Self::Corrupt { .. } => Code(516),
            Self::Encode(_) => Code(517),
            Self::Delta { .. } => Code(518),
            Self::TagName(_) => Code(521),
            Self::TagTaken(_) => Code(522),
            Self::NoTag(_) => Code(523),
            Self::Rewritten { .. } => Code(524),
            Self::Vacuumed { .. } => Code(530),
            Self::Taken(_) => Code(531),
            Self::Compare(e) => e.code(),
        }
    }
}

/// Why a commit did not happen, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another writer took the version: drop the batch, load again, go on from what is done.
    #[error("version {version} of table \"{table}\" was committed by another writer")]
    Conflict {
        /// Path of the table in the store.
        table: String,
        /// The version that was wanted.
        version: u64,
    },
    /// The store did not say whether the commit happened: load again and look; never repeat blindly.
    #[error("whether version {version} of table \"{table}\" was committed is unknown: {reason}")]
    Unknown {
        /// Path of the table in the store.
        table: String,
        /// The version that was wanted.
        version: u64,
        /// What the store said.
        reason: String,
    },
    /// The commit did not happen.
    #[error(transparent)]
    Other(#[from] Error),
}

impl Classified for CommitError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Unknown { .. } => ErrorKind::Unavailable,
            Self::Other(e) => e.kind(),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Conflict { .. } => Code(519),
            Self::Unknown { .. } => Code(520),
            Self::Other(e) => e.code(),
        }
    }
}
