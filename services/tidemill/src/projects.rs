//! Applied projects on the bus: `<project>` holds the text in force, `<project>.<digest>` every text ever applied.

use crate::error::{Error, Result};
use crate::streams;
use std::time::Duration;
use tidemill_bus::{Bus, Kv, KvSpec};
use tidemill_contracts::events::{ProjectApplied, notice};
use tidemill_contracts::subjects;
use tidemill_features::Plan;
use tidemill_runtime::Teller;
use tidemill_runtime::config::Size;
use tidemill_spec::Spec;
use tidemill_types::Digest;

/// How often a role looks whether a project was applied meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What applying a spec did.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The spec.
    pub(crate) spec: Spec,
    /// Digest of its meaning.
    pub(crate) digest: Digest,
    /// Digest of the one that was in force before, when it was another one.
    pub(crate) replaced: Option<Digest>,
    /// Whether anything changed.
    pub(crate) changed: bool,
}

/// Reads a spec and everything that can be checked without data.
pub(crate) fn check(text: &str) -> Result<Spec> {
    let spec = Spec::parse(text)?;
    Plan::compile(&spec)?;
    Ok(spec)
}

async fn bucket(bus: &Bus) -> Result<Kv> {
    let spec = KvSpec { history: 16, ..KvSpec::new(subjects::PROJECTS_BUCKET) };
    Ok(Kv::open(bus, &spec).await?)
}

/// The bucket for those who only read: they may not be allowed to make it.
async fn existing_bucket(bus: &Bus) -> Result<Kv> {
    match bus.stream_state(&format!("KV_{}", subjects::PROJECTS_BUCKET)).await {
        Ok(_) => bucket(bus).await,
        Err(tidemill_bus::Error::NotFound(_)) => Err(nothing_applied()),
        Err(other) => Err(other.into()),
    }
}

fn nothing_applied() -> Error {
    Error::NoProject("no project was applied yet".to_owned())
}

/// Checks a spec and puts it in force: streams first, then the text under its digest, then the pointer, then a notice.
///
/// Repeating it changes nothing.
pub(crate) async fn apply(bus: &Bus, text: &str, letters: Size) -> Result<Applied> {
    let spec = check(text)?;
    let digest = spec.digest();
    streams::ensure(bus, &spec, letters).await?;
    let kv = bucket(bus).await?;
    let key = spec.project.to_string();
    let before = kv.get(&key).await?.and_then(|entry| entry.value);
    let before = before.and_then(|text| Spec::parse(&String::from_utf8_lossy(&text)).ok()).map(|old| old.digest());
    if before.as_ref() == Some(&digest) {
        return Ok(Applied { spec, digest, replaced: None, changed: false });
    }
    kv.put(&format!("{key}.{digest}"), text.to_owned()).await?;
    kv.put(&key, text.to_owned()).await?;
    let fact = notice::Fact::ProjectApplied(ProjectApplied { spec_digest: digest.to_string() });
    let teller = Teller { role: "tidemill", bus, project: &spec.project };
    teller.notice(("project", "applied"), ("", None), fact).await?;
    Ok(Applied { spec, digest, replaced: before, changed: true })
}

/// Names of the applied projects.
pub(crate) async fn names(bus: &Bus) -> Result<Vec<String>> {
    let keys = existing_bucket(bus).await?.keys().await?;
    Ok(keys.into_iter().filter(|key| !key.contains('.')).collect())
}

/// The text in force of `project`; of the only project when it is empty.
pub(crate) async fn text_of(bus: &Bus, project: &str) -> Result<String> {
    let name = if project.is_empty() { only(names(bus).await?)? } else { project.to_owned() };
    let entry = existing_bucket(bus).await?.get(&name).await?;
    let text = entry.and_then(|entry| entry.value);
    let text = text.ok_or_else(|| Error::NoProject(format!("project \"{name}\" was never applied")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The spec in force of `project`; of the only project when it is empty.
pub(crate) async fn in_force(bus: &Bus, project: &str) -> Result<Spec> {
    Ok(Spec::parse(&text_of(bus, project).await?)?)
}

/// The project in force, once one was applied: a role may be started before.
pub(crate) async fn when_applied(bus: &Bus, project: &str) -> Result<Spec> {
    let mut said = false;
    loop {
        match in_force(bus, project).await {
            Err(Error::NoProject(reason)) => {
                if !said {
                    tracing::warn!(reason, "waiting until a project is applied");
                    said = true;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            found => return found,
        }
    }
}

fn only(names: Vec<String>) -> Result<String> {
    match names.as_slice() {
        [] => Err(nothing_applied()),
        [one] => Ok(one.clone()),
        many => {
            let many = many.join(", ");
            Err(Error::NoProject(format!("several projects are applied ({many}): say which with --set project=NAME")))
        }
    }
}

/// The text of `project` that was applied under `digest`, of which the beginning is enough.
pub(crate) async fn earlier(bus: &Bus, project: &str, digest: &str) -> Result<String> {
    let kv = existing_bucket(bus).await?;
    let wanted = format!("{project}.{digest}");
    let missing = || Error::NotFound { what: "applied spec", name: wanted.clone(), list: "tidemill project show" };
    let key = kv.keys().await?.into_iter().find(|key| key.starts_with(&wanted)).ok_or_else(missing)?;
    let text = kv.get(&key).await?.and_then(|entry| entry.value).ok_or_else(missing)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
