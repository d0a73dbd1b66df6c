//! Copies of files on this machine: hashed, complete, and gone with the process.

use crate::error::{Error, Fault, FaultKind, Result};
use crate::files::Compression;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use tidemill_storage::Storage;

/// Bytes asked of the store at once.
const PART: u64 = 8 << 20;
/// A stream that unfolds more than so many times its size is taken for a bomb,
const BOMB_RATIO: u64 = 250;
/// once it has unfolded so far.
const BOMB_BYTES: u64 = 64 << 20;

/// A file that nobody else sees: it has no name.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// The bytes.
    pub(crate) file: File,
    /// How many.
    pub(crate) size: u64,
    /// SHA-256 of them.
    pub(crate) digest: String,
}

fn unnamed(folder: Option<&Path>) -> Result<File> {
    let made = match folder {
        Some(folder) => std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder)),
        None => tempfile::tempfile(),
    };
    made.map_err(Error::io("make a scratch file"))
}

impl Scratch {
    /// Copies an object of `size` bytes part by part.
    pub(crate) async fn copy(
        storage: &Storage,
        path: &str,
        size: u64,
        most: u64,
        folder: Option<&Path>,
    ) -> Result<Self> {
        if size > most {
            let reason = format!("{size} bytes; at most {most} are read");
            return Err(Fault::new(FaultKind::TooLarge, reason, "split the file, or raise from.files.max_bytes").into());
        }
        let mut file = unnamed(folder)?;
        let mut hasher = Sha256::new();
        let mut at = 0;
        while at < size {
            let part = storage.get_range(path, at..size.min(at + PART)).await?;
            if part.is_empty() {
                break;
            }
            hasher.update(&part);
            file.write_all(&part).map_err(Error::io("write a scratch file"))?;
            at += part.len() as u64;
        }
        file.seek(SeekFrom::Start(0)).map_err(Error::io("read a scratch file"))?;
        Ok(Self { file, size: at, digest: hex::encode(hasher.finalize()) })
    }

    /// Takes bytes that are in memory already.
    pub(crate) fn of(bytes: &[u8], folder: Option<&Path>) -> Result<Self> {
        let mut file = unnamed(folder)?;
        file.write_all(bytes).map_err(Error::io("write a scratch file"))?;
        file.seek(SeekFrom::Start(0)).map_err(Error::io("read a scratch file"))?;
        Ok(Self { file, size: bytes.len() as u64, digest: hex::encode(Sha256::digest(bytes)) })
    }

    /// The content without its compression; the digest stays that of what was found.
    pub(crate) fn unfold(self, compression: Option<Compression>, most: u64, folder: Option<&Path>) -> Result<Self> {
        let Some(compression) = compression else { return Ok(self) };
        let mut source: Box<dyn Read> = match compression {
            Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(std::io::BufReader::new(self.file))),
            Compression::Zstd => {
                Box::new(zstd::stream::read::Decoder::new(self.file).map_err(|e| damaged(&e.to_string()))?)
            }
        };
        let mut file = unnamed(folder)?;
        let mut buffer = vec![0; 1 << 20];
        let mut size = 0_u64;
        loop {
            let read = source.read(&mut buffer).map_err(|e| damaged(&e.to_string()))?;
            let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
            size += read as u64;
            if size > most {
                let reason = format!("more than {most} bytes after decompression");
                return Err(Fault::new(FaultKind::TooLarge, reason, "split the file, or raise max_bytes").into());
            }
            if size > BOMB_BYTES && size / BOMB_RATIO > self.size {
                let reason = format!("{} bytes unfold to more than {BOMB_RATIO} times as many", self.size);
                return Err(Fault::new(FaultKind::TooLarge, reason, "send it without compression").into());
            }
            file.write_all(part).map_err(Error::io("write a scratch file"))?;
        }
        file.seek(SeekFrom::Start(0)).map_err(Error::io("read a scratch file"))?;
        Ok(Self { file, size, digest: self.digest })
    }
}

fn damaged(reason: &str) -> Error {
    Fault::new(FaultKind::Damaged, format!("the compressed stream is damaged: {reason}"), "write the file again").into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn fault(result: Result<Scratch>) -> Fault {
        match result.unwrap_err() {
            Error::Fault(fault) => fault,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn compressed_content_is_unfolded_within_its_limit() {
        let text = "a,b\n".repeat(1_000);
        for (compression, bytes) in [
            (Compression::Gzip, gzip(text.as_bytes())),
            (Compression::Zstd, zstd::bulk::compress(text.as_bytes(), 1).unwrap()),
        ] {
            let scratch = Scratch::of(&bytes, None).unwrap().unfold(Some(compression), 1 << 20, None).unwrap();
            assert_eq!(scratch.size, 4_000);
            assert_eq!(scratch.digest, hex::encode(Sha256::digest(&bytes)));
            let small = Scratch::of(&bytes, None).unwrap().unfold(Some(compression), 3_999, None);
            assert_eq!(fault(small).kind, FaultKind::TooLarge);
            let cut = Scratch::of(&bytes[..bytes.len() - 6], None).unwrap().unfold(Some(compression), 1 << 20, None);
            assert_eq!(fault(cut).kind, FaultKind::Damaged);
        }
    }

    #[test]
    fn a_bomb_is_stopped_before_it_fills_the_disk() {
        let bomb = gzip(&vec![0_u8; 100 << 20]);
        let refused = fault(Scratch::of(&bomb, None).unwrap().unfold(Some(Compression::Gzip), 4 << 30, None));
        assert_eq!(refused.kind, FaultKind::TooLarge);
        assert!(refused.reason.contains("250 times"), "{refused}");
    }
}
