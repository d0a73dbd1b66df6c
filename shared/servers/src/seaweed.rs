//! A child SeaweedFS (master, volume, filer, S3 gateway in one process) with one identity and one bucket.

use crate::error::{Error, Result};
use crate::http;
use crate::process::ServerProcess;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

const IDENTITY: &str = include_str!("../../../infra/seaweedfs/s3.json");
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(20);
const NAME: &str = "SeaweedFS";
const ENDED: &str = "it ended with";

/// How to start SeaweedFS.
#[derive(Clone, Debug)]
pub struct SeaweedOptions {
    /// Program, as found by [`crate::seaweedfs`].
    pub binary: PathBuf,
    /// Folder of volumes, metadata, identity file and log; created when missing.
    pub data_dir: PathBuf,
    /// Bucket that is made when it does not exist.
    pub bucket: String,
}

impl SeaweedOptions {
    /// Defaults: bucket `tidemill`.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>, data_dir: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into(), data_dir: data_dir.into(), bucket: "tidemill".to_owned() }
    }
}

/// A running SeaweedFS on loopback, killed on drop.
#[derive(Debug)]
pub struct SeaweedFs {
    options: SeaweedOptions,
    process: ServerProcess,
    ports: Ports,
    keys: Keys,
}

#[derive(Clone, Debug)]
struct Keys {
    access: String,
    secret: String,
}

/// HTTP and gRPC ports of the four parts.
#[derive(Clone, Copy, Debug)]
struct Ports {
    master: [u16; 2],
    volume: [u16; 2],
    filer: [u16; 2],
    s3: [u16; 2],
}

impl SeaweedFs {
    /// Starts the servers, waits until objects can be written, and makes the bucket.
    ///
    /// # Errors
    /// `TM1404` with the last lines of its log when it does not become ready within 60 s.
    pub async fn start(options: SeaweedOptions) -> Result<Self> {
        let dir = &options.data_dir;
        std::fs::create_dir_all(dir).map_err(Error::io(format!("create {}", dir.display())))?;
        let keys = keys(dir)?;
        // Another process may take a free port between our looking and the server's binding.
        let mut attempts = 3;
        loop {
            attempts -= 1;
            let ports = free_ports().map_err(Error::io("find free ports"))?;
            match launch(&options, ports).await {
                Ok(process) => return Ok(Self { options, process, ports, keys }),
                Err(Error::NotReady { reason, .. }) if attempts > 0 && reason.contains(ENDED) => {
                    tracing::warn!("trying again on other ports: {reason}");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// S3 endpoint, `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.s3[0])
    }

    /// Access key of the one identity.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.keys.access
    }

    /// Secret key of the one identity.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        &self.keys.secret
    }

    /// Name of the bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.options.bucket
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Folder of volumes, metadata, identity file and log.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.options.data_dir
    }

    /// Stops the servers in good order (takes up to 20 s).
    ///
    /// # Errors
    /// `TM1405` when the process cannot be ended.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop(STOP_WITHIN).await
    }

    /// SIGKILL, as in a crash.
    ///
    /// # Errors
    /// `TM1405` when the process cannot be ended.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts the servers again on the same ports and folder, stopping them first when they still run.
    ///
    /// # Errors
    /// As [`SeaweedFs::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.process.stop(STOP_WITHIN).await?;
        self.process = launch(&self.options, self.ports).await?;
        Ok(())
    }
}

/// The keys of the identity file, made up at the first start.
fn keys(dir: &Path) -> Result<Keys> {
    let path = dir.join("s3.json");
    let action = format!("write {}", path.display());
    if let Some(keys) = std::fs::read(&path).ok().and_then(|text| stored_keys(&text)) {
        return Ok(keys);
    }
    let make = || -> std::io::Result<Keys> {
        let keys = Keys { access: random_hex(10)?, secret: random_hex(20)? };
        let text = IDENTITY.replace("{{ACCESS_KEY}}", &keys.access).replace("{{SECRET_KEY}}", &keys.secret);
        let mut file = tempfile::NamedTempFile::new_in(dir)?; // readable by this user only
        file.write_all(text.as_bytes())?;
        // Written once and never again: after a power cut it must not be empty.
        file.as_file().sync_all()?;
        file.persist(&path)?;
        File::open(dir)?.sync_all()?;
        Ok(keys)
    };
    make().map_err(Error::io(action))
}

fn stored_keys(text: &[u8]) -> Option<Keys> {
    let identities: serde_json::Value = serde_json::from_slice(text).ok()?;
    let credential = identities.pointer("/identities/0/credentials/0")?;
    let part = |name: &str| credential.get(name)?.as_str().map(str::to_owned);
    Some(Keys { access: part("accessKey")?, secret: part("secretKey")? })
}

/// Hex digits from the operating system's random source.
///
/// # Errors
/// When that source cannot be read.
#[cfg(unix)]
pub fn random_hex(bytes: usize) -> std::io::Result<String> {
    let mut buffer = vec![0; bytes];
    File::open("/dev/urandom")?.read_exact(&mut buffer)?;
    Ok(hex::encode(buffer))
}

/// Hex digits from the operating system's random source.
///
/// # Errors
/// Always: it is not known how to reach that source here.
#[cfg(not(unix))]
pub fn random_hex(_bytes: usize) -> std::io::Result<String> {
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "write s3.json yourself on this platform"))
}

/// Eight ports that were free a moment ago; all are held until the last is known, so that they differ.
fn free_ports() -> std::io::Result<Ports> {
    let held = (0..8).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<std::io::Result<Vec<_>>>()?;
    let mut ports = [0; 8];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    let [m, mg, v, vg, f, fg, s, sg] = ports;
    Ok(Ports { master: [m, mg], volume: [v, vg], filer: [f, fg], s3: [s, sg] })
}

async fn launch(options: &SeaweedOptions, ports: Ports) -> Result<ServerProcess> {
    let dir = std::path::absolute(&options.data_dir).map_err(Error::io("resolve the data folder"))?;
    let mut command = Command::new(&options.binary);
    command
        .current_dir(&dir) // it looks for further configuration in the current folder
        .args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"])
        .args(["-s3", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.config=s3.json"])
        .args(["-volume.max=64", "-master.volumeSizeLimitMB=1024", "-volume.preStopSeconds=0"])
        // There is one master, whose election nobody has to wait for.
        .args(["-master.electionTimeout=1s", "-master.heartbeatInterval=200ms"])
        .arg(format!("-dir={}", dir.display()));
    for (part, [http, grpc]) in
        [("master", ports.master), ("volume", ports.volume), ("filer", ports.filer), ("s3", ports.s3)]
    {
        command.arg(format!("-{part}.port={http}")).arg(format!("-{part}.port.grpc={grpc}"));
    }
    let mut process = ServerProcess::spawn(command, dir.join("seaweedfs.log")).await?;
    let deadline = Instant::now() + READY_WITHIN;
    while let Err(state) = ready(ports).await {
        let ended = process.ended().map(|status| format!("{ENDED} {status}"));
        if ended.is_some() || Instant::now() >= deadline {
            let reason = format!("{}; last words: {}", ended.unwrap_or(state), process.last_words());
            return Err(Error::NotReady { name: NAME, reason, log: process.log().to_owned() });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    make_bucket(options, ports, &process).await?;
    Ok(process)
}

/// Ready when the S3 gateway answers and the master has a volume server to write to.
async fn ready(ports: Ports) -> std::result::Result<(), String> {
    match http::get(ports.s3[0], "/status").await {
        Ok((200, _)) => {}
        Ok((status, _)) => return Err(format!("the S3 gateway answers {status}")),
        Err(error) => return Err(format!("the S3 gateway: {error}")),
    }
    let (_, body) = http::get(ports.master[0], "/dir/status").await.map_err(|error| format!("the master: {error}"))?;
    let status: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    match status.pointer("/Topology/Max").and_then(serde_json::Value::as_u64) {
        Some(volumes) if volumes > 0 => Ok(()),
        _ => Err("no volume server has registered".to_owned()),
    }
}

/// Makes the bucket through the server's own shell, which does nothing when it exists.
async fn make_bucket(options: &SeaweedOptions, ports: Ports, process: &ServerProcess) -> Result<()> {
    let action = format!("make the bucket {}", options.bucket);
    let run = async {
        let mut shell = tokio::process::Command::new(&options.binary)
            .current_dir(&options.data_dir)
            .arg("shell")
            .arg(format!("-master=127.0.0.1:{}.{}", ports.master[0], ports.master[1]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = shell.stdin.take() {
            input.write_all(format!("s3.bucket.create -name {}\ns3.bucket.list\n", options.bucket).as_bytes()).await?;
        }
        shell.wait_with_output().await
    };
    let output = tokio::time::timeout(READY_WITHIN, run)
        .await
        .map_err(std::io::Error::other)
        .and_then(|output| output)
        .map_err(Error::io(action.clone()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let listed = text.lines().any(|line| line.split_whitespace().next() == Some(options.bucket.as_str()));
    if listed {
        return Ok(());
    }
    let said = format!("{} {}", text.trim(), String::from_utf8_lossy(&output.stderr).trim());
    Err(Error::NotReady { name: NAME, reason: format!("{action}: {said}"), log: process.log().to_owned() })
}
