//! The project file that a model was trained under.

use crate::error::Result;
use tidemill_bus::{Bus, Error as BusError, Kv, KvSpec};
use tidemill_contracts::subjects;
use tidemill_registry::manifest;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_types::Digest;

/// The project file that a model was trained under: the one in force, or one that was applied earlier.
///
/// # Errors
/// When there is no such model, or the project file was never applied on this bus.
pub async fn spec_of(bus: &Bus, storage: &Storage, in_force: &Spec, model: &Digest) -> Result<Spec> {
    let trained = manifest(storage, model).await?.about.spec_digest;
    if trained == in_force.digest() {
        return Ok(in_force.clone());
    }
    let key = format!("{}.{trained}", in_force.project);
    let held = Kv::open(bus, &KvSpec::new(subjects::PROJECTS_BUCKET)).await?.get(&key).await?;
    let text =
        held.and_then(|entry| entry.value).ok_or_else(|| BusError::NotFound(format!("applied project {key}")))?;
    Ok(Spec::parse(&String::from_utf8_lossy(&text))?)
}
