//! Identifiers. Names that become subjects, folders and table names are checked once, here.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A name that is not usable as a subject token and a folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} \"{name}\" must be 1 to 48 characters of a-z, 0-9, '-' and '_', starting with a letter")]
pub struct BadName {
    what: &'static str,
    name: String,
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts_well = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
    starts_well
        && text.len() <= 48
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;
            fn try_from(name: String) -> Result<Self, BadName> {
                if is_name(&name) { Ok(Self(name)) } else { Err(BadName { what: $what, name }) }
            }
        }

        impl std::str::FromStr for $type {
            type Err = BadName;
            fn from_str(name: &str) -> Result<Self, BadName> {
                Self::try_from(name.to_owned())
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A machine-learning project.
    ProjectName,
    "project"
);
name!(
    /// A source of data events inside a project.
    SourceName,
    "source"
);
name!(
    /// A deployment: the name under which predictions are asked for.
    DeploymentName,
    "deployment"
);
name!(
    /// One training run.
    RunId,
    "run"
);
name!(
    /// One turn of the loop: trigger, training, evaluation, verdict.
    CycleId,
    "cycle"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_break_a_subject_are_refused() {
        for bad in ["", "A", "a.b", "a b", "a*", "1a", "a/../b", &"a".repeat(49)] {
            assert!(bad.parse::<SourceName>().is_err(), "{bad}");
        }
        assert!("flights_2013-x".parse::<SourceName>().is_ok());
    }
}
