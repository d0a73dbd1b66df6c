//! The one compressed layer a message may have: a single zstd frame around the whole Arrow stream.

use crate::reject::{BAD_COMPRESSION, Reject};
use std::borrow::Cow;
use std::io::{BufReader, Read as _};

/// First bytes of a zstd frame.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Largest window the decoder may allocate: 2^24 bytes, what zstd uses up to level 19 for inputs of our size.
const WINDOW_LOG_MAX: u32 = 24;
/// Most that is allocated because a frame says so.
const HINT_MAX: usize = 16 << 20;

/// Whether the bytes start a zstd frame.
pub(crate) fn is_zstd(body: &[u8]) -> bool {
    body.starts_with(&MAGIC)
}

/// The content of the frame, at most `cap` bytes; a body without a frame is returned as it is.
pub(crate) fn unwrap(body: &[u8], cap: usize) -> Result<Cow<'_, [u8]>, Reject> {
    if !is_zstd(body) {
        return Ok(Cow::Borrowed(body));
    }
    let damaged = |e: std::io::Error| Reject::whole(BAD_COMPRESSION, format!("the zstd frame is damaged: {e}"), "");
    let mut decoder = zstd::stream::read::Decoder::with_buffer(BufReader::new(body)).map_err(damaged)?.single_frame();
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(damaged)?;
    // What the frame says of its size is a hint for the first allocation, no more.
    let announced = zstd::zstd_safe::get_frame_content_size(body).ok().flatten().unwrap_or(0);
    let mut decoded = Vec::with_capacity(usize::try_from(announced).unwrap_or(usize::MAX).min(cap).min(HINT_MAX));
    let limit = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    decoder.by_ref().take(limit).read_to_end(&mut decoded).map_err(damaged)?;
    if decoded.len() > cap {
        return Err(Reject::whole(BAD_COMPRESSION, format!("more than {cap} bytes inside the zstd frame"), ""));
    }
    let mut rest = decoder.finish();
    let mut after = [0_u8; 1];
    if rest.read(&mut after).map_err(damaged)? > 0 {
        return Err(Reject::whole(BAD_COMPRESSION, "bytes after the zstd frame", ""));
    }
    Ok(Cow::Owned(decoded))
}
