//! `doctor`: is everything there, does it answer, and is it safe? Changes nothing but a probe object in the store.

mod bus;
mod check;
mod exposure;
mod host;
mod roles;
mod secrets;
mod store;

use super::output::{Output, next, say};
use super::target::Target;
use crate::error::Result;
use check::{Check, State, exit_code};
use serde_json::{Value, json};

/// Shown by `tidemill doctor --help`.
pub(super) const EXAMPLES: &str = "\
Examples:
  tidemill doctor
  tidemill doctor --data-dir target/demo
  tidemill doctor -o json
  TIDEMILL_CONFIG=/etc/tidemill.toml tidemill doctor     roles that run elsewhere: [peers] says where

States: ok; warn, somebody should look; open, wrong or unsafe; failed, something needed does not answer; skipped.
Exit codes: 0 nothing is open, 3 something is open, 4 something does not answer.";

/// Makes all checks and shows them.
pub(super) async fn run(target: &Target, out: Output) -> Result<u8> {
    let mut checks = host::checks(target).await;
    let bus = bus::checks(target).await;
    checks.extend(bus.checks);
    checks.extend(store::checks(target).await);
    checks.extend(roles::checks(target, bus.connection.as_ref(), bus.spec.as_ref()).await);
    checks.extend(exposure::checks(target).await);
    checks.extend(secrets::checks(target, bus.connection.as_ref(), bus.spec.as_ref()).await);
    if let Some(bus) = bus.connection {
        bus.close().await;
    }
    let code = exit_code(&checks);
    show(out, &checks)?;
    match code {
        0 => next("tidemill status"),
        _ => say("mend what is open or failed, then look again: tidemill doctor"),
    }
    Ok(code)
}

fn show(out: Output, checks: &[Check]) -> Result<()> {
    let rows: Vec<Value> = checks.iter().map(Check::row).collect();
    let count = |state: State| checks.iter().filter(|check| check.state() == state).count();
    if out.is_json() {
        return out.record(&json!({
            "ok": count(State::Ok),
            "warn": count(State::Warn),
            "open": count(State::Open),
            "failed": count(State::Failed),
            "skipped": count(State::Skipped),
            "checks": rows,
        }));
    }
    if !out.is_table() {
        return out.rows(&["state", "area", "check", "seen", "mend"], &rows);
    }
    out.text("checks", &checks.iter().map(Check::lines).collect::<String>())?;
    let all = [State::Ok, State::Warn, State::Open, State::Failed, State::Skipped];
    let counted = all.map(|state| format!("{} {}", count(state), state.word()));
    say(&counted.join(", "));
    Ok(())
}
