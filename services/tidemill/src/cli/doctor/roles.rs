//! The roles: those that answer are asked, those that only follow the bus are judged by what they leave behind.

use super::check::Check;
use crate::cli::target::Target;
use crate::error::{Error, Result};
use crate::ready::{Health, ask};
use crate::roles::Role;
use serde_json::Value;
use std::time::Duration;
use tidemill_bus::Bus;
use tidemill_contracts::subjects;
use tidemill_dataset::Table;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const AREA: &str = "roles";
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const ANSWER_BYTES: u64 = 1 << 16;

/// Checks every role.
pub(super) async fn checks(target: &Target, bus: Option<&Bus>, spec: Option<&Spec>) -> Vec<Check> {
    let mut checks = Vec::new();
    for role in Role::ALL {
        let check = match role.endpoint(&target.endpoints) {
            Some(url) => answering(role, url).await,
            None if role == Role::Console => pages(&target.endpoints.console).await,
            None => following(role, target, bus, spec).await,
        };
        checks.push(check);
    }
    checks.push(process(target).await);
    checks
}

async fn answering(role: Role, url: &str) -> Check {
    let health = ask(url).await;
    let seen = format!("{} at {url}", health.word());
    match health {
        Health::Serving | Health::Answers => Check::ok(AREA, role.name(), seen),
        Health::NotServing if role == Role::Serving => {
            Check::warn(AREA, role.name(), seen).mended_by("tidemill train: it is ready when there is a champion")
        }
        Health::NotServing => Check::warn(AREA, role.name(), seen).mended_by("its log and /readyz say what it lacks"),
        Health::Unreachable => Check::failed(AREA, role.name(), seen)
            .mended_by(format!("tidemill up, tidemill run {role}, or name its place in [peers]")),
    }
}

/// Nobody's work waits for the console.
async fn pages(url: &str) -> Check {
    let name = Role::Console.name();
    match http(url, "/").await {
        Some(answer) if answer.starts_with("HTTP/1.1 ") => Check::ok(AREA, name, format!("answers at {url}")),
        _ => Check::warn(AREA, name, format!("nothing answers at {url}"))
            .mended_by("tidemill up, or tidemill run console"),
    }
}

async fn following(role: Role, target: &Target, bus: Option<&Bus>, spec: Option<&Spec>) -> Check {
    let (Some(bus), Some(spec)) = (bus, spec) else {
        return Check::skipped(AREA, role.name(), "it follows the bus, on which no project is in force");
    };
    match behind(role, target, bus, spec).await {
        Ok(0) => Check::ok(AREA, role.name(), "has read everything"),
        Ok(behind) => {
            let what = if role == Role::Ingestion { "messages" } else { "rows" };
            Check::warn(AREA, role.name(), format!("{behind} {what} are not in its tables yet"))
                .mended_by(format!("look again; if it does not fall: tidemill run {role}"))
        }
        Err(Error::Bus(tidemill_bus::Error::Denied(_))) => {
            Check::skipped(AREA, role.name(), "this nkey may not ask about streams")
        }
        Err(error) => Check::of_error(AREA, role.name(), &error),
    }
}

/// Messages that ingestion, or rows that validation, has not taken in.
async fn behind(role: Role, target: &Target, bus: &Bus, spec: &Spec) -> Result<u64> {
    let storage = target.storage()?;
    let mut behind = 0;
    for source in spec.sources.keys() {
        let raw = format!("raw/{}/{source}", spec.project);
        if role == Role::Ingestion {
            let stream = subjects::events_stream(&spec.project, source);
            let state = bus.stream_state(&stream).await?;
            let done = done(&storage, &raw, &state.incarnation(&stream)).await?;
            behind += state.last_seq.saturating_sub(done);
        } else {
            let clean = format!("clean/{}/{source}", spec.project);
            let quarantine = format!("quarantine/{}/{source}", spec.project);
            let judged = rows(&storage, &clean).await? + rows(&storage, &quarantine).await?;
            behind += rows(&storage, &raw).await?.saturating_sub(judged);
        }
    }
    Ok(behind)
}

async fn opened(storage: &Storage, path: &str) -> Result<Option<Table>> {
    match Table::open(storage, path).await {
        Ok(table) => Ok(Some(table)),
        Err(tidemill_dataset::Error::Absent { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

async fn done(storage: &Storage, path: &str, incarnation: &str) -> Result<u64> {
    let Some(table) = opened(storage, path).await? else { return Ok(0) };
    let done = table.load().await?.done(incarnation).await?.unwrap_or_default();
    Ok(u64::try_from(done).unwrap_or_default())
}

async fn rows(storage: &Storage, path: &str) -> Result<u64> {
    let Some(table) = opened(storage, path).await? else { return Ok(0) };
    Ok(table.load().await?.num_rows())
}

/// What the process at `admin.bind` says of itself; in other containers each role has one of its own.
async fn process(target: &Target) -> Check {
    let name = "/readyz";
    let url = &target.endpoints.admin;
    match readyz(url).await {
        Some(answer) if answer["ready"] == true => Check::ok(AREA, name, format!("ready at {url}")),
        Some(answer) => {
            let unmet = answer["unmet"].as_object().into_iter().flatten();
            let unmet: Vec<String> =
                unmet.map(|(part, why)| format!("{part}: {}", why.as_str().unwrap_or_default())).collect();
            Check::warn(AREA, name, format!("{url} waits for {}", unmet.join("; ")))
                .mended_by("tidemill status shows the role that is meant")
        }
        None => Check::skipped(AREA, name, format!("nothing answers at {url}; each process has its own")),
    }
}

/// The page as JSON; `None` when nobody answers.
async fn readyz(url: &str) -> Option<Value> {
    let text = http(url, "/readyz").await?;
    serde_json::from_str(text.get(text.find('{')?..=text.rfind('}')?)?).ok()
}

/// What a server on this network answers, head included; `None` when nobody does.
async fn http(url: &str, page: &str) -> Option<String> {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let asked = async {
        let mut socket = TcpStream::connect(address).await.ok()?;
        let request = format!("GET {page} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        socket.take(ANSWER_BYTES).read_to_end(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(PATIENCE, asked).await.ok()?
}
