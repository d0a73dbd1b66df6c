//! A file system of its own in a file, from which the power can be taken.

use anyhow::{Context as _, Result, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tidemill_testkit::eventually;

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: nothing that was not flushed reaches the disk any more, the
/// journal's own buffers included, and every later access fails.
const SHUT_DOWN: &str = "import fcntl, os, struct, sys; \
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

/// An ext4 file system on a loop device; unmounted when dropped.
pub(crate) struct Disk {
    image: PathBuf,
    mounted_at: PathBuf,
    // Removed after the drop below has unmounted what lies in it.
    _dir: TempDir,
}

impl Disk {
    /// Makes and mounts one; `None`, with the reason on standard error, where this is not allowed.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub(crate) fn new(bytes: u64) -> Result<Option<Self>> {
        let dir = tempfile::tempdir()?;
        let (image, mounted_at) = (dir.path().join("image"), dir.path().join("disk"));
        std::fs::create_dir(&mounted_at)?;
        std::fs::File::create(&image)?.set_len(bytes)?;
        let disk = Self { image, mounted_at, _dir: dir };
        let made = run("mkfs.ext4", [OsStr::new("-q"), OsStr::new("-F"), disk.image.as_os_str()]);
        if let Err(reason) = made.and_then(|()| disk.mount()) {
            eprintln!("skipped: no file system can be mounted here, which needs root and loop devices: {reason:#}");
            return Ok(None);
        }
        Ok(Some(disk))
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.mounted_at
    }

    fn mount(&self) -> Result<()> {
        run("mount", [OsStr::new("-o"), OsStr::new("loop"), self.image.as_os_str(), self.mounted_at.as_os_str()])
    }

    /// Takes the power: what was not flushed is gone. Whoever uses the disk sees errors from now on.
    pub(crate) fn cut(&self) -> Result<()> {
        run("python3", [OsStr::new("-c"), OsStr::new(SHUT_DOWN), self.mounted_at.as_os_str()])
    }

    /// Power is back: mounts it again. Nobody may have a file open there.
    pub(crate) async fn come_back(&self) -> Result<()> {
        let unmounted = || std::future::ready(run("umount", [self.mounted_at.as_os_str()]).is_ok());
        ensure!(eventually(Duration::from_secs(10), unmounted).await, "{} is in use", self.mounted_at.display());
        self.mount()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that is about to end may still hold a file.
        let _ = run("umount", [OsStr::new("-l"), self.mounted_at.as_os_str()]);
    }
}

fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} ended with {}: {}", output.status, said.trim());
    Ok(())
}
