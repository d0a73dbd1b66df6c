//! The bus: reachable, new enough, JetStream on, every stream and bucket as declared, its clock equal to ours.

use super::check::Check;
use crate::cli::target::Target;
use crate::error::{Error, Result};
use crate::projects;
use crate::streams;
use crate::up::now;
use tidemill_bus::{Bus, MINIMUM_SERVER, StreamInspection, StreamSpec};
use tidemill_contracts::subjects;
use tidemill_runtime::config::Size;
use tidemill_spec::Spec;
use tidemill_types::Millis;

const AREA: &str = "bus";
/// Clocks may differ by this much without anybody looking, in milliseconds.
const SKEW: i64 = 1_000;
/// Differing by this much, knowledge times and freshness are wrong, in milliseconds.
const WRONG: i64 = 10_000;
/// Largest message that a bus should take, in bytes; what is sent is at most 8 MiB.
const PAYLOAD_CAP: usize = 64 << 20;

/// What the checks found, and what others need to go on.
pub(super) struct BusChecks {
    /// The checks.
    pub(super) checks: Vec<Check>,
    /// The bus, when it answers.
    pub(super) connection: Option<Bus>,
    /// The project in force, when there is one.
    pub(super) spec: Option<Spec>,
}

/// Checks the bus.
pub(super) async fn checks(target: &Target) -> BusChecks {
    let bus = match connected(target).await {
        Ok((bus, seen)) => (bus, Check::ok(AREA, "reachable", seen)),
        Err(error) => {
            let name = if matches!(&error, Error::Bus(tidemill_bus::Error::ServerTooOld { .. })) {
                "version"
            } else {
                "reachable"
            };
            let mut checks = vec![Check::of_error(AREA, name, &error)];
            for name in ["JetStream", "project", "streams", "buckets", "clock"] {
                checks.push(Check::skipped(AREA, name, "the bus does not answer"));
            }
            return BusChecks { checks, connection: None, spec: None };
        }
    };
    let (bus, reachable) = bus;
    let version = format!("nats-server {}, at least {MINIMUM_SERVER} is needed", bus.server_version());
    let mut checks = vec![reachable, Check::ok(AREA, "version", version), jetstream(&bus).await, payload(&bus)];
    let (project, spec) = project(target, &bus).await;
    checks.push(project);
    checks.extend(declared(&bus, spec.as_ref(), target.config.bus.dead_letters).await);
    checks.push(buckets(&bus).await);
    BusChecks { checks, connection: Some(bus), spec }
}

async fn connected(target: &Target) -> Result<(Bus, String)> {
    let bus = target.bus().await?;
    Ok((bus, target.bus_url().to_owned()))
}

async fn jetstream(bus: &Bus) -> Check {
    match bus.ping().await {
        Ok(took) => Check::ok(AREA, "JetStream", format!("answers in {:.1} ms", took.as_secs_f64() * 1_000.0)),
        Err(error) => Check::of_error(AREA, "JetStream", &error.into()).mended_by("start nats-server with -js"),
    }
}

fn payload(bus: &Bus) -> Check {
    let bytes = bus.max_payload();
    let seen = format!("messages of up to {bytes} bytes");
    match bytes {
        bytes if bytes > PAYLOAD_CAP => Check::open(AREA, "message cap", seen).mended_by("max_payload: 8MB"),
        _ => Check::ok(AREA, "message cap", seen),
    }
}

async fn project(target: &Target, bus: &Bus) -> (Check, Option<Spec>) {
    let name = "project";
    match target.spec(bus).await {
        Ok(spec) => {
            let seen = format!("{}, digest {}", spec.project, spec.digest().short());
            (Check::ok(AREA, name, seen), Some(spec))
        }
        Err(error @ Error::NoProject(_)) => {
            let several = projects::names(bus).await.is_ok_and(|names| names.len() > 1);
            let mend = if several { "say which: --set project=NAME" } else { "tidemill project apply FILE" };
            (Check::open(AREA, name, error.text()).mended_by(mend), None)
        }
        Err(error) => (Check::of_error(AREA, name, &error), None),
    }
}

/// The streams of the project, and the clock of the server that told of them.
async fn declared(bus: &Bus, spec: Option<&Spec>, letters: Size) -> Vec<Check> {
    let Some(spec) = spec else {
        return ["streams", "clock"].map(|name| Check::skipped(AREA, name, "no project is in force")).into();
    };
    let (mut checks, mut good, mut clock) = (Vec::new(), 0, None);
    for stream in streams::of_project(spec, letters) {
        let asked = now();
        match bus.inspect_stream(&stream).await {
            Ok(found) => {
                let server = found.as_ref().and_then(|found| Millis::parse(found.server_time.as_deref()?));
                clock = clock.or(server.map(|server| (asked, server, now())));
                match judged(&stream, found) {
                    Some(check) => checks.push(check),
                    None => good += 1,
                }
            }
            Err(error) => {
                checks.push(stream_error(&stream, error));
                break;
            }
        }
    }
    if good > 0 {
        checks.push(Check::ok(AREA, "streams", format!("{good} as declared")));
    }
    checks.push(match clock {
        Some((asked, server, answered)) => skew(asked, server, answered),
        None => Check::skipped(AREA, "clock", "the server does not tell its time"),
    });
    checks
}

/// `None` for a stream as it should be.
fn judged(stream: &StreamSpec, found: Option<StreamInspection>) -> Option<Check> {
    let name = format!("stream {}", stream.name);
    let Some(found) = found else {
        return Some(Check::open(AREA, name, "is missing").mended_by("tidemill project apply FILE"));
    };
    if found.differs.is_empty() {
        return None;
    }
    let seen = format!("has other settings than declared: {}", found.differs.join(", "));
    Some(Check::open(AREA, name, seen).mended_by("tidemill project apply FILE; see tidemill explain TM0603"))
}

/// A role's nkey may not ask about streams of others; that is as it should be.
fn stream_error(stream: &StreamSpec, error: tidemill_bus::Error) -> Check {
    let name = format!("stream {}", stream.name);
    match error {
        tidemill_bus::Error::Denied(_) => {
            Check::skipped(AREA, name, "this nkey may not ask").mended_by("look with the nkey of the operator")
        }
        other => Check::of_error(AREA, name, &other.into()),
    }
}

/// The server's clock against the middle of our question; what the question took is the doubt.
fn skew(asked: Millis, server: Millis, answered: Millis) -> Check {
    let doubt = (answered.0 - asked.0).max(0) / 2;
    let apart = (server.0 - (asked.0 + doubt)).abs().saturating_sub(doubt).max(0);
    let seen = format!("{apart} ms apart from the bus");
    let mend = "synchronise the clocks: timedatectl set-ntp true";
    match apart {
        apart if apart >= WRONG => Check::open(AREA, "clock", seen).mended_by(mend),
        apart if apart >= SKEW => Check::warn(AREA, "clock", seen).mended_by(mend),
        _ => Check::ok(AREA, "clock", seen),
    }
}

async fn buckets(bus: &Bus) -> Check {
    let name = "buckets";
    let wanted = [subjects::PROJECTS_BUCKET, subjects::REGISTRY_BUCKET, subjects::HEADS_BUCKET];
    let found = match bus.stream_names("KV_").await {
        Ok(found) => found,
        Err(tidemill_bus::Error::Denied(_)) => return Check::skipped(AREA, name, "this nkey may not ask"),
        Err(error) => return Check::of_error(AREA, name, &error.into()),
    };
    let missing: Vec<&str> = wanted.into_iter().filter(|bucket| !found.contains(&format!("KV_{bucket}"))).collect();
    if missing.is_empty() {
        return Check::ok(AREA, name, wanted.join(", "));
    }
    Check::open(AREA, name, format!("missing: {}", missing.join(", "))).mended_by("tidemill project apply FILE")
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn clocks_are_compared_within_the_doubt_of_the_question() {
        let of = |asked, server, answered| skew(Millis(asked), Millis(server), Millis(answered)).state();
        assert_eq!(of(1_000, 1_010, 1_020), State::Ok);
        assert_eq!(of(1_000, 1_900, 1_020), State::Ok);
        assert_eq!(of(10_000, 13_000, 10_002), State::Warn);
        assert_eq!(of(60_000, 20_000, 60_002), State::Open);
        // A slow answer proves nothing.
        assert_eq!(of(0, 12_000, 24_000), State::Ok);
    }

    #[test]
    fn a_stream_that_is_missing_or_altered_is_open() {
        let stream = StreamSpec::new("TM_WORK", ["tm.work.>"]);
        assert_eq!(judged(&stream, None).unwrap().state(), State::Open);
        let state =
            tidemill_bus::StreamState { first_seq: 1, last_seq: 0, messages: 0, bytes: 0, created: String::new() };
        let mut found = StreamInspection { differs: vec!["storage".into()], server_time: None, state };
        assert!(judged(&stream, Some(found.clone())).unwrap().row()["seen"].as_str().unwrap().contains("storage"));
        found.differs.clear();
        assert_eq!(judged(&stream, Some(found)), None);
    }
}
