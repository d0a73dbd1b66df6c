//! Secrets: readable by their owner only; the key that signs bundles is there and the one that is trusted.

use super::check::Check;
use super::host::mode;
use crate::cli::target::Target;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use tidemill_bus::Bus;
use tidemill_registry::{Registry, SigningKey, TrustedKeys};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_types::Digest;

const AREA: &str = "security";

/// Checks secrets and keys.
pub(super) async fn checks(target: &Target, bus: Option<&Bus>, spec: Option<&Spec>) -> Vec<Check> {
    let mut checks = vec![files(target)];
    let trusted = match trusted(target) {
        Ok(Some((trusted, seen))) => {
            checks.push(Check::ok(AREA, "signing key", seen));
            trusted
        }
        Ok(None) => {
            checks.push(Check::skipped(AREA, "signing key", "none yet: the first start makes it"));
            return checks;
        }
        Err(error) => {
            checks.push(Check::of_error(AREA, "signing key", &error));
            return checks;
        }
    };
    checks.push(champion(target, bus, spec, &trusted).await);
    checks
}

/// Every file that the configuration names as a secret, and the signing key.
fn files(target: &Target) -> Check {
    let config = &target.config;
    let named = [
        config.bus.nkey_file.clone(),
        config.store.access_key_file.clone(),
        config.store.secret_key_file.clone(),
        config.keys.signing_file.clone(),
    ];
    let signing = config.data_dir.join("keys").join("signing.key");
    let all: Vec<PathBuf> = named.into_iter().flatten().chain(signing.exists().then_some(signing)).collect();
    judge(&all)
}

fn judge(all: &[PathBuf]) -> Check {
    let name = "secret files";
    if all.is_empty() {
        return Check::skipped(AREA, name, "none is configured");
    }
    let (mut world, mut group) = (Vec::new(), Vec::new());
    for file in all {
        let shown = file.display().to_string();
        match std::fs::File::open(file) {
            Ok(_) => {}
            Err(error) => {
                return Check::open(AREA, name, format!("{shown} cannot be read: {error}"))
                    .mended_by(format!("mend the path, or chown {shown} to the user of this process"));
            }
        }
        let bits = mode(file).unwrap_or_default();
        match (bits & 0o007, bits & 0o070) {
            (0, 0) => {}
            (0, _) => group.push(shown),
            _ => world.push(shown),
        }
    }
    let mend = |files: &[String]| format!("chmod 600 {}", files.join(" "));
    if !world.is_empty() {
        return Check::open(AREA, name, format!("everybody may read {}", world.join(", "))).mended_by(mend(&world));
    }
    if !group.is_empty() {
        return Check::warn(AREA, name, format!("the group may read {}", group.join(", "))).mended_by(mend(&group));
    }
    Check::ok(AREA, name, format!("{} readable by their owner only", all.len()))
}

/// The keys whose bundles are loaded, as the roles see them; `None` before the first start. Makes no key.
fn trusted(target: &Target) -> Result<Option<(TrustedKeys, String)>> {
    let keys = &target.config.keys;
    let default = target.config.data_dir.join("keys").join("signing.key");
    let signing = match &keys.signing_file {
        Some(file) => Some(key(file)?),
        None if default.exists() => Some(key(&default)?),
        None => None,
    };
    let Some(file) = &keys.trusted_file else {
        let Some(signing) = signing else { return Ok(None) };
        let seen = format!("{}… signs and is trusted", signing.id().as_str().get(..12).unwrap_or_default());
        return Ok(Some((TrustedKeys::default().with(&signing.id())?, seen)));
    };
    let trusted = TrustedKeys::load(file)?;
    let Some(signing) = signing else {
        return Ok(Some((trusted, format!("{} says whom to trust; this process signs nothing", file.display()))));
    };
    // Adding a key that is there changes nothing.
    if trusted.clone().with(&signing.id())? != trusted {
        return Err(Error::Usage(format!(
            "the signing key {} is not in {}: what it signs would not be loaded",
            signing.id(),
            file.display()
        )));
    }
    Ok(Some((trusted, format!("signs, and is in {}", file.display()))))
}

fn key(file: &Path) -> Result<SigningKey> {
    Ok(SigningKey::load(file)?)
}

/// The model in service must load under the trusted keys: signature, digests of all files.
async fn champion(target: &Target, bus: Option<&Bus>, spec: Option<&Spec>, trusted: &TrustedKeys) -> Check {
    let name = "champion's signature";
    let (Some(bus), Some(spec)) = (bus, spec) else {
        return Check::skipped(AREA, name, "no project is in force");
    };
    match found(bus, spec).await {
        Ok(None) => Check::skipped(AREA, name, "there is no champion yet"),
        Ok(Some(digest)) => match target.storage() {
            Ok(storage) => verified(&storage, &digest, trusted).await,
            Err(error) => Check::of_error(AREA, name, &error),
        },
        Err(error) => Check::of_error(AREA, name, &error),
    }
}

async fn found(bus: &Bus, spec: &Spec) -> Result<Option<Digest>> {
    let registry = Registry::open(bus).await?;
    Ok(registry.alias(&spec.project, "champion").await?.map(|state| state.entry.digest))
}

async fn verified(storage: &Storage, digest: &Digest, trusted: &TrustedKeys) -> Check {
    let name = "champion's signature";
    match tidemill_registry::load(storage, digest, trusted).await {
        Ok(_) => Check::ok(AREA, name, format!("model {} is signed by a trusted key, and complete", digest.short())),
        Err(error) => Check::of_error(AREA, name, &error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;
    use std::collections::BTreeMap;
    use tidemill_runtime::Config;

    fn target(dir: &Path, settings: &[(&str, String)]) -> Target {
        let nothing = BTreeMap::<String, String>::new();
        let mut all = vec![("data_dir".to_owned(), dir.display().to_string())];
        all.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        Target::find(Config::load_with(None, &nothing, &all).unwrap()).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_everybody_may_read_is_open() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("seed");
        std::fs::write(&file, "SU…").unwrap();
        for (mode, state) in [(0o600, State::Ok), (0o640, State::Warn), (0o644, State::Open)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(judge(std::slice::from_ref(&file)).state(), state, "{mode:o}");
        }
        assert_eq!(judge(&[dir.path().join("absent")]).state(), State::Open);
        assert_eq!(judge(&[]).state(), State::Skipped);
    }

    #[test]
    fn looking_for_the_signing_key_makes_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(trusted(&target(dir.path(), &[])).unwrap().is_none());
        assert!(!dir.path().join("keys").exists());
        SigningKey::load_or_create(&dir.path().join("keys/signing.key")).unwrap();
        assert!(trusted(&target(dir.path(), &[])).unwrap().is_some());
    }

    #[test]
    fn a_signing_key_that_nobody_trusts_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys/signing.key");
        let own = SigningKey::load_or_create(&file).unwrap();
        let other = SigningKey::generate().unwrap();
        let list = dir.path().join("trusted.keys");
        let settings = [("keys.trusted_file", list.display().to_string())];
        std::fs::write(&list, format!("ed25519 {}\n", other.id())).unwrap();
        assert!(trusted(&target(dir.path(), &settings)).is_err());
        std::fs::write(&list, format!("ed25519 {}\ned25519 {}\n", other.id(), own.id())).unwrap();
        assert!(trusted(&target(dir.path(), &settings)).unwrap().is_some());
    }
}
