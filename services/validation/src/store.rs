//! Where validation keeps what it writes, and finds what it reads.

pub use tidemill_contracts::paths::{
    clean_table as clean_table_path, profile as profile_path, quarantine_table as quarantine_table_path,
};
pub(crate) use tidemill_contracts::paths::{
    groups as groups_path, profiles as profiles_path, raw_table as raw_table_path,
};
