//! `secrets`: keys of every role, and the configurations of the bus and the store that grant each its part.

use super::output::{Output, next, say};
use crate::error::{Error, Result};
use crate::projects;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tidemill_bus::Nkey;
use tidemill_contracts::access::{self, Identity, Scope};
use tidemill_registry::SigningKey;

const EXAMPLES: &str = "\
Examples:
  tidemill secrets init secrets --project infra/examples/flights/project.yaml
  ls secrets                                        a folder for each role, for operator and producer, nats, seaweedfs
Repeating it keeps every key and writes the permissions anew, for instance after a project has got another source.
Files have mode 0600, folders 0700. Give each process its own folder, and nothing else.";

const SEED: &str = "nkey.seed";
const ACCESS: &str = "access.key";
const SECRET: &str = "secret.key";
const SIGNING: &str = "signing.key";
const TRUSTED: &str = "trusted.keys";
/// Bytes of randomness in an access key and in a secret key.
const ACCESS_BYTES: usize = 10;
const SECRET_BYTES: usize = 20;

/// `tidemill secrets …`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum SecretsCommand {
    /// Make the keys that are missing, and the configurations of nats-server and SeaweedFS.
    #[command(after_help = EXAMPLES)]
    Init(InitArgs),
}

/// `tidemill secrets init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Folder of the secrets.
    dir: PathBuf,
    /// Spec of a project whose subjects the roles may use; repeatable.
    #[arg(long = "project", value_name = "FILE")]
    projects: Vec<PathBuf>,
    /// Bucket of the store.
    #[arg(long, default_value = "tidemill")]
    bucket: String,
    /// Folder of streams, as nats-server sees it.
    #[arg(long, default_value = "/data/jetstream", value_name = "DIR")]
    nats_store: PathBuf,
    /// Upper bound of streams on disk.
    #[arg(long, default_value = "64GB", value_name = "SIZE")]
    nats_max_store: String,
}

/// What somebody shows to the bus and to the store.
struct Keys {
    identity: Identity,
    nkey: Nkey,
    access: String,
    secret: String,
}

/// Runs the command.
pub(super) fn run(out: Output, command: SecretsCommand) -> Result<u8> {
    let SecretsCommand::Init(args) = command;
    let scopes = args.projects.iter().map(|file| scope(file)).collect::<Result<Vec<_>>>()?;
    let signing_path = folder(&args.dir, Identity::Training.name())?.join(SIGNING);
    let signing = SigningKey::load_or_create(&signing_path)?;
    let mut all = Vec::new();
    for identity in Identity::ALL {
        let dir = folder(&args.dir, identity.name())?;
        all.push(keys(&dir, identity)?);
        write(&dir.join(TRUSTED), &format!("ed25519 {}\n", signing.id()))?;
    }
    write(&folder(&args.dir, "nats")?.join("nats.conf"), &nats(&args, &all, &scopes))?;
    write(&folder(&args.dir, "seaweedfs")?.join("s3.json"), &format!("{:#}\n", store(&all, &args.bucket)))?;
    let rows: Vec<Value> = all.iter().map(|keys| shown(&args.dir, keys, &scopes)).collect();
    out.rows(&["identity", "nkey", "subjects", "writes", "folder"], &rows)?;
    if scopes.is_empty() {
        say("no project was named, so no role may touch the data of one");
    }
    next("start nats-server with nats/nats.conf, and each process with the files of its own folder");
    Ok(0)
}

fn scope(file: &Path) -> Result<Scope> {
    let text = std::fs::read_to_string(file).map_err(Error::file("read", file))?;
    let spec = projects::check(&text)?;
    let sources = spec.sources.keys().cloned().collect();
    Ok(Scope { project: spec.project.clone(), sources, deployment: spec.serve.deployment.clone() })
}

fn shown(dir: &Path, keys: &Keys, scopes: &[Scope]) -> Value {
    let writes = access::folders_written(keys.identity);
    json!({
        "identity": keys.identity.name(),
        "nkey": keys.nkey.public(),
        "subjects": access::publishes(keys.identity, scopes).len(),
        "writes": writes.map_or_else(|| "everything".to_owned(), |folders| folders.join(" ")),
        "folder": dir.join(keys.identity.name()),
    })
}

/// The keys of a folder; those that are missing are made.
fn keys(dir: &Path, identity: Identity) -> Result<Keys> {
    let seed = kept(&dir.join(SEED), || Ok(Nkey::generate()?.seed().to_owned()))?;
    let access = kept(&dir.join(ACCESS), || Ok(tidemill_servers::random_hex(ACCESS_BYTES)?))?;
    let secret = kept(&dir.join(SECRET), || Ok(tidemill_servers::random_hex(SECRET_BYTES)?))?;
    Ok(Keys { identity, nkey: Nkey::from_seed(&seed)?, access, secret })
}

fn kept(path: &Path, make: impl FnOnce() -> Result<String>) -> Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::file("read the secret in", path)(e)),
    }
    let made = make()?;
    write(path, &made)?;
    Ok(made)
}

/// Makes a folder that its owner alone can enter.
fn folder(parent: &Path, name: &str) -> Result<PathBuf> {
    let path = parent.join(name);
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&path).map_err(Error::file("make", &path))?;
    Ok(path)
}

/// Writes a file that its owner alone can read, complete or not at all.
fn write(path: &Path, text: &str) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let written = || -> std::io::Result<()> {
        let mut draft = tempfile::NamedTempFile::new_in(parent)?; // mode 0600
        draft.write_all(text.as_bytes())?;
        draft.as_file().sync_all()?;
        draft.persist(path)?;
        Ok(())
    };
    written().map_err(Error::file("write", path))
}

/// The configuration of nats-server: that of the repository, and one user for each key.
fn nats(args: &InitArgs, all: &[Keys], scopes: &[Scope]) -> String {
    let mut text = tidemill_servers::nats_config("tidemill", &args.nats_store, &args.nats_max_store);
    text.push_str("\n# One user for each key. What is not allowed is denied; answers come on the inbox of the key.\n");
    text.push_str("authorization {\n  users = [\n");
    for keys in all {
        let publish = access::publishes(keys.identity, scopes).iter().map(|s| format!("{s:?}")).collect::<Vec<_>>();
        let inbox = format!("{}.>", keys.nkey.inbox());
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "    # {}\n    {{ nkey: {}, permissions: {{\n        publish: {{ allow: [\n          {}\n        ] }}\n        \
             subscribe: {{ allow: [{inbox:?}] }}\n    }} }}",
            keys.identity.name(),
            keys.nkey.public(),
            publish.join(",\n          "),
        );
    }
    text.push_str("  ]\n}\n");
    text
}

/// The identities of the store: everybody reads its bucket, roles write in their folders, operators everywhere.
fn store(all: &[Keys], bucket: &str) -> Value {
    let mut sorted: Vec<&Keys> = all.iter().filter(|keys| access::reads_store(keys.identity)).collect();
    // The first is the one that makes the bucket.
    sorted.sort_by_key(|keys| access::folders_written(keys.identity).is_some());
    let identities = sorted.into_iter().map(|keys| {
        let actions = match access::folders_written(keys.identity) {
            None => ["Admin", "Read", "Write", "List", "Tagging"].map(str::to_owned).to_vec(),
            Some(folders) => ["Read", "List"]
                .map(|action| format!("{action}:{bucket}"))
                .into_iter()
                .chain(folders.iter().map(|folder| format!("Write:{bucket}/{folder}/*")))
                .collect(),
        };
        json!({
            "name": keys.identity.name(),
            "credentials": [{ "accessKey": keys.access, "secretKey": keys.secret }],
            "actions": actions,
        })
    });
    json!({ "identities": identities.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(dir: &Path) -> InitArgs {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/examples/flights/project.yaml");
        InitArgs {
            dir: dir.to_owned(),
            projects: vec![project],
            bucket: "tidemill".to_owned(),
            nats_store: "/data/jetstream".into(),
            nats_max_store: "1GB".to_owned(),
        }
    }

    fn init(dir: &Path) {
        run(Output::new(super::super::output::Format::Json), SecretsCommand::Init(args(dir))).unwrap();
    }

    #[test]
    fn keys_are_made_once_and_open_to_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path());
        let read = |path: &str| std::fs::read_to_string(dir.path().join(path)).unwrap();
        let (seed, conf) = (read("serving/nkey.seed"), read("nats/nats.conf"));
        init(dir.path());
        assert_eq!((read("serving/nkey.seed"), read("nats/nats.conf")), (seed.clone(), conf.clone()));
        assert!(conf.contains(&Nkey::from_seed(&seed).unwrap().public()) && !conf.contains(&seed));
        assert!(conf.contains("tm.predictions.flights.disruption") && !conf.contains("{{"));
        assert!(!dir.path().join("serving/signing.key").exists());
        #[cfg(unix)]
        for entry in ["nats/nats.conf", "seaweedfs/s3.json", "serving/secret.key", "training/signing.key"] {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(dir.path().join(entry)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{entry}");
        }
    }

    #[test]
    fn a_role_writes_in_its_folders_of_the_store_alone() {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path());
        let text = std::fs::read_to_string(dir.path().join("seaweedfs/s3.json")).unwrap();
        let stored: Value = serde_json::from_str(&text).unwrap();
        let identities = stored["identities"].as_array().unwrap();
        assert_eq!(identities[0]["name"], "operator");
        assert!(identities.iter().all(|identity| identity["name"] != "producer"));
        let serving = identities.iter().find(|identity| identity["name"] == "serving").unwrap();
        assert_eq!(serving["actions"], json!(["Read:tidemill", "List:tidemill"]));
        let ingestion = identities.iter().find(|identity| identity["name"] == "ingestion").unwrap();
        assert_eq!(ingestion["actions"], json!(["Read:tidemill", "List:tidemill", "Write:tidemill/raw/*"]));
    }
}
