//! Questions to the person at the terminal. Where nobody sits, nothing is asked: a script must not hang.

use super::output;
use crate::error::{Error, Result};
use std::io::{IsTerminal as _, Write as _};

/// The given text, or what the person at the terminal answers.
///
/// # Errors
/// A usage error that names the option when nothing is given, or nobody can be asked.
pub(super) fn given_or_asked(given: Option<String>, question: &str, option: &str) -> Result<String> {
    let missing = || Error::Usage(format!("{option} is required"));
    let answer = match given {
        Some(given) => given,
        None if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() => ask(question)?,
        None => return Err(missing()),
    };
    let answer = answer.trim();
    if answer.is_empty() { Err(missing()) } else { Ok(answer.to_owned()) }
}

fn ask(question: &str) -> Result<String> {
    let mut asked = std::io::stderr().lock();
    // Nobody can be told that standard error is gone.
    let _ = write!(asked, "{question}: ").and_then(|()| asked.flush());
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.is_empty() {
        // End of input instead of an answer.
        output::say("");
    }
    Ok(answer)
}
