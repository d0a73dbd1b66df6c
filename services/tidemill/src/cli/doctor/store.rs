//! The object store: read, written, and written only if absent, by a probe object that is removed again.

use super::check::Check;
use crate::cli::target::Target;
use crate::error::{Error, Result};
use std::path::Path;
use tidemill_storage::Storage;
use uuid::Uuid;

const AREA: &str = "store";

/// Checks the store.
pub(super) async fn checks(target: &Target) -> Vec<Check> {
    let url = target.instance.as_ref().map_or_else(|| target.config.store_url(), |instance| instance.store_url.clone());
    // Opening a folder makes it, and looking should make nothing.
    if url.strip_prefix("file://").is_some_and(|folder| !Path::new(folder).exists()) {
        return vec![Check::skipped(AREA, "readable", format!("{url} is made at the first start"))];
    }
    let storage = match target.storage() {
        Ok(storage) => storage,
        Err(error) => return vec![Check::of_error(AREA, "opened", &error)],
    };
    let listed = storage.list("raw").await.map_err(Error::from);
    let listed = match listed {
        Ok(objects) => Check::ok(AREA, "readable", format!("{url}: {} objects of raw tables", objects.len())),
        Err(error) => return vec![Check::of_error(AREA, "readable", &error)],
    };
    let path = format!("doctor-{}", Uuid::now_v7());
    match written(&storage, &path).await {
        Ok(()) => {}
        Err(Error::Storage(tidemill_storage::Error::Denied(_))) => return vec![listed, not_asked()],
        Err(error) => return vec![listed, Check::of_error(AREA, "writable", &error)],
    }
    let once = once(&storage, &path).await;
    let writable = match storage.delete(&path).await.map_err(Error::from) {
        Ok(()) => Check::ok(AREA, "writable", "a probe was written, read and removed"),
        Err(error) => Check::of_error(AREA, "writable", &error),
    };
    let once = once.unwrap_or_else(|error| Check::of_error(AREA, "conditional put", &error));
    vec![listed, writable, once]
}

/// The keys of a role write only its own folders, and no probe; that is as it should be.
fn not_asked() -> Check {
    let seen = "these keys write no probe (TM0504), as is right for a role";
    Check::skipped(AREA, "writable", seen).mended_by("look with the keys of the operator")
}

async fn written(storage: &Storage, path: &str) -> Result<()> {
    storage.put(path, "one").await?;
    let found = storage.get(path).await?;
    if found.as_ref() == b"one" {
        return Ok(());
    }
    Err(Error::Rows { path: path.into(), reason: "the probe reads otherwise than it was written".to_owned() })
}

/// Commits rely on it: of two writers of one log entry only one may win.
async fn once(storage: &Storage, path: &str) -> Result<Check> {
    let taken = storage.put_if_absent(path, "two").await?;
    let kept = storage.get(path).await?;
    if !taken && kept.as_ref() == b"one" {
        return Ok(Check::ok(AREA, "conditional put", "an object that exists is not overwritten"));
    }
    let seen = "the store overwrote an object that existed: two writers could lose each other's commits";
    Ok(Check::open(AREA, "conditional put", seen).mended_by("use a store that honours If-None-Match, SeaweedFS 4.48"))
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;
    use std::collections::BTreeMap;
    use tidemill_runtime::Config;

    #[tokio::test]
    async fn a_folder_is_readable_writable_and_keeps_what_exists() {
        let dir = tempfile::tempdir().unwrap();
        let nothing = BTreeMap::<String, String>::new();
        let settings = [("data_dir".to_owned(), dir.path().display().to_string())];
        let target = Target::find(Config::load_with(None, &nothing, &settings).unwrap()).unwrap();
        assert_eq!(checks(&target).await[0].state(), State::Skipped);
        assert!(!dir.path().join("store").exists(), "looking made the store");
        std::fs::create_dir(dir.path().join("store")).unwrap();
        let checks = checks(&target).await;
        assert!(checks.len() == 3 && checks.iter().all(|check| check.state() == State::Ok), "{checks:?}");
        assert_eq!(target.storage().unwrap().list("").await.unwrap(), []);
    }
}
