//! Taking an address before anything is served on it.

use crate::error::Error;
use tokio::net::TcpListener;

/// Listens on `address` for `what`; `key` is the setting that holds the address. Port 0 takes a free one.
///
/// # Errors
/// The address cannot be taken; the text names it and the setting to change.
pub async fn bind(address: &str, what: &str, key: &str) -> Result<TcpListener, Error> {
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Bind {
        address: address.to_owned(),
        what: what.to_owned(),
        key: key.to_owned(),
        source,
    })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening for {what}");
    }
    Ok(listener)
}
