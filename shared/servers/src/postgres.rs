//! A child PostgreSQL for tests of the origin that reads it: on loopback, with a password, and with TLS when asked.
//!
//! PostgreSQL refuses to run as root. Where we are root, it runs as the user `nobody`, who owns its folder.

use crate::error::{Error, Result};
use crate::install;
use crate::obtain::Obtain;
use crate::process::ServerProcess;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

const NAME: &str = "PostgreSQL";
/// Oldest version that is taken from `PATH`.
const MINIMUM: u32 = 12;
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Numbers of the user and group `nobody` and `nogroup`.
const NOBODY: u32 = 65_534;

/// How to start a PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Folder of `postgres` and `initdb`, as found by [`postgresql`].
    pub programs: PathBuf,
    /// Folder of everything; created when missing, and given to `nobody` when we are root.
    pub data_dir: PathBuf,
    /// Superuser.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Certificate and key in PEM; with them the server offers TLS.
    pub tls: Option<(String, String)>,
}

impl PostgresOptions {
    /// Defaults: user `tidemill`, password `secret`, no TLS.
    #[must_use]
    pub fn new(programs: impl Into<PathBuf>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            programs: programs.into(),
            data_dir: data_dir.into(),
            user: "tidemill".to_owned(),
            password: "secret".to_owned(),
            tls: None,
        }
    }
}

/// A running PostgreSQL on loopback, killed on drop.
#[derive(Debug)]
pub struct PostgresServer {
    options: PostgresOptions,
    process: ServerProcess,
    port: u16,
}

/// Folder of the programs of a PostgreSQL: from `PATH`, from the cache, or from a wheel.
///
/// # Errors
/// `TM1400` with the remedies when there is none.
pub async fn postgresql(obtain: &Obtain) -> Result<PathBuf> {
    for folder in &obtain.search_path {
        let (server, init) = (folder.join("postgres"), folder.join("initdb"));
        if server.is_file() && init.is_file() && version(&server).await.is_some_and(|found| found >= MINIMUM) {
            return Ok(folder.clone());
        }
    }
    let unpacked = install::cached_or_downloaded_tree(&install::POSTGRES, obtain).await;
    let root = unpacked.map_err(|error| match error {
        checksum @ Error::Checksum { .. } => checksum,
        error => Error::NotObtained {
            name: NAME,
            version: install::POSTGRES.version,
            program: "postgres",
            package: install::POSTGRES.package,
            remote: "use a PostgreSQL that runs already",
            reason: error.to_string(),
        },
    })?;
    Ok(root.join("pgserver/pginstall/bin"))
}

/// Major version that a program says.
async fn version(program: &Path) -> Option<u32> {
    let asked = tokio::process::Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let output = tokio::time::timeout(Duration::from_secs(20), asked).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl PostgresServer {
    /// Makes the database and starts the server.
    ///
    /// # Errors
    /// `TM1404` with its last words when it does not become ready.
    pub async fn start(mut options: PostgresOptions) -> Result<Self> {
        let dir = options.data_dir.clone();
        let io = |action: &str| Error::io(format!("{action} {}", dir.display()));
        std::fs::create_dir_all(&dir).map_err(io("create"))?;
        options.data_dir = std::path::absolute(&dir).map_err(io("resolve"))?;
        options.programs = reachable(&options.programs, &options.data_dir)?;
        let secret = options.data_dir.join("password");
        write_owned(&secret, &options.password)?;
        if let Some((certificate, key)) = &options.tls {
            write_owned(&options.data_dir.join("server.crt"), certificate)?;
            write_owned(&options.data_dir.join("server.key"), key)?;
        }
        own(&options.data_dir)?;
        initialise(&options, &secret).await?;
        let (process, port) = launch(&options, None).await?;
        Ok(Self { options, process, port })
    }

    /// Port for clients, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// User, who may do everything.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.options.user
    }

    /// Password of the user.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.options.password
    }

    /// SIGKILL, as in a crash.
    ///
    /// # Errors
    /// `TM1405` when the process cannot be ended.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts the server again on the same port and folder.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.process.stop(STOP_WITHIN).await?;
        (self.process, self.port) = launch(&self.options, Some(self.port)).await?;
        Ok(())
    }
}

#[expect(unsafe_code, reason = "std does not tell who we are; the call takes nothing and cannot fail")]
fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// Gives a file or folder to whom the server runs as.
fn own(path: &Path) -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))
        .map_err(Error::io(format!("give away {}", path.display())))
}

fn write_owned(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let io = || Error::io(format!("write {}", path.display()));
    std::fs::write(path, text).map_err(io())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(io())?;
    own(path)
}

/// The programs where the server's user can reach them: `nobody` sees nothing below a home that is closed to others,
/// so they are copied next to the data.
fn reachable(programs: &Path, data_dir: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let real = programs.join("postgres").canonicalize().map_err(Error::io(format!("find {}", programs.display())))?;
    let open = |folder: &Path| std::fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
    if !is_root() || real.ancestors().all(open) {
        return Ok(programs.to_owned());
    }
    // bin, lib and share lie side by side, and the libraries of the wheel two levels above.
    let root = programs.ancestors().nth(3).unwrap_or(programs);
    let target = data_dir.join("program");
    if !target.exists() {
        copy_tree(root, &target).map_err(Error::io(format!("copy {}", root.display())))?;
    }
    let below = programs.strip_prefix(root).unwrap_or(Path::new(""));
    Ok(target.join(below))
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(to)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755))?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// A command that runs as the server's user.
fn command(options: &PostgresOptions, program: &str) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(options.programs.join(program));
    command.current_dir(&options.data_dir).env("LC_ALL", "C").env("PGTZ", "UTC");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

async fn initialise(options: &PostgresOptions, secret: &Path) -> Result<()> {
    let data = options.data_dir.join("data");
    if data.join("PG_VERSION").is_file() {
        return Ok(());
    }
    let mut init = command(options, "initdb");
    init.arg("-D").arg(&data).arg("-U").arg(&options.user).arg("--pwfile").arg(secret);
    init.args(["-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync"]);
    let action = "make the database".to_owned();
    let run = tokio::process::Command::from(init).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(READY_WITHIN, run).await.map_err(io::Error::other).and_then(|output| output);
    let output = output.map_err(Error::io(action.clone()))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Io { action, source: io::Error::other(told) })
}

async fn launch(options: &PostgresOptions, port: Option<u16>) -> Result<(ServerProcess, u16)> {
    // It takes no port 0, so it is given one that was free a moment ago.
    let port = match port {
        Some(port) => port,
        None => {
            let held = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::io("find a free port"))?;
            held.local_addr().map_err(Error::io("find a free port"))?.port()
        }
    };
    let mut server = command(options, "postgres");
    server.arg("-D").arg(options.data_dir.join("data")).arg("-p").arg(port.to_string());
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "dynamic_shared_memory_type=mmap",
        "max_connections=20",
        "shared_buffers=16MB",
        "timezone=UTC",
        "log_timezone=UTC",
    ] {
        server.arg("-c").arg(setting);
    }
    if options.tls.is_some() {
        let place = |name: &str| options.data_dir.join(name).display().to_string();
        server.arg("-c").arg("ssl=on");
        server.arg("-c").arg(format!("ssl_cert_file={}", place("server.crt")));
        server.arg("-c").arg(format!("ssl_key_file={}", place("server.key")));
    }
    let mut process = ServerProcess::spawn(server, options.data_dir.join("postgres.log")).await?;
    let deadline = Instant::now() + READY_WITHIN;
    while let Err(state) = answers(port).await {
        let ended = process.ended().map(|status| format!("it ended with {status}"));
        if ended.is_some() || Instant::now() >= deadline {
            let reason = format!("{}; last words: {}", ended.unwrap_or(state), process.last_words());
            return Err(Error::NotReady { name: NAME, reason, log: process.log().to_owned() });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((process, port))
}

/// Ready when it asks for a password; while it starts it answers with an error.
async fn answers(port: u16) -> std::result::Result<(), String> {
    let exchange = async {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
        // Length, protocol 3.0, and a user.
        let parameters = b"user\0probe\0\0";
        let length = u32::try_from(8 + parameters.len()).unwrap_or_default();
        socket.write_all(&[&length.to_be_bytes()[..], &196_608_u32.to_be_bytes(), parameters].concat()).await?;
        let mut kind = [0; 1];
        socket.read_exact(&mut kind).await?;
        io::Result::Ok(kind[0])
    };
    match tokio::time::timeout(Duration::from_secs(2), exchange).await {
        Ok(Ok(b'R')) => Ok(()),
        Ok(Ok(other)) => Err(format!("it answers {:?}", char::from(other))),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}
