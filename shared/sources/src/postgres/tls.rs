//! Connections to PostgreSQL, encrypted unless the project says otherwise.

use crate::error::{Error, Result};
use crate::secret::Hidden;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tidemill_spec::{PostgresOrigin, Tls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, NoTls, Socket};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Longest statement; a poll is made of many.
const STATEMENT_LIMIT: &str = "-c statement_timeout=300000 -c lock_timeout=10000";

/// Connects; the connection is served by a task of its own and ends with the client.
pub(super) async fn connect(origin: &PostgresOrigin, place: &str, password: Option<&Hidden>) -> Result<Client> {
    let mut config = Config::new();
    config
        .host(&origin.host)
        .port(origin.port)
        .dbname(&origin.database)
        .user(&origin.user)
        .application_name("tidemill")
        .options(STATEMENT_LIMIT)
        .connect_timeout(CONNECT_WITHIN);
    if let Some(password) = password {
        config.password(password.expose());
    }
    let failed = |e: tokio_postgres::Error| refused(&e, place);
    match origin.tls {
        Tls::Off => {
            config.ssl_mode(SslMode::Disable);
            let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
            serve(connection);
            Ok(client)
        }
        Tls::Require => {
            config.ssl_mode(SslMode::Require);
            let connector = Connector(Arc::new(client_config(origin)?));
            let (client, connection) = config.connect(connector).await.map_err(failed)?;
            serve(connection);
            Ok(client)
        }
    }
}

fn serve(connection: impl Future<Output = std::result::Result<(), tokio_postgres::Error>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("the connection to PostgreSQL ended: {}", chain(&error));
        }
    });
}

/// A wrong password or database stays wrong; everything else may pass.
fn refused(error: &tokio_postgres::Error, place: &str) -> Error {
    let told = error.as_db_error();
    let stays = told.is_some_and(|told| ["28", "3D"].iter().any(|class| told.code().code().starts_with(class)));
    let reason = told.map_or_else(|| chain(error), |told| told.message().to_owned());
    let place = place.to_owned();
    if stays { Error::Query { place, reason } } else { Error::Database { place, reason } }
}

/// An error with its causes; the driver's texts hold no secrets.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn client_config(origin: &PostgresOrigin) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // Certificates of the system that cannot be read are of no use to anybody.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = &origin.ca_file {
        let bad = |e: &dyn std::fmt::Display| Error::settings("from.postgres.ca_file", format!("{file}: {e}"));
        for certificate in CertificateDer::pem_file_iter(file).map_err(|e| bad(&e))? {
            roots.add(certificate.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::settings("from.postgres.tls", e.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Puts TLS around a connection.
#[derive(Clone)]
struct Connector(Arc<ClientConfig>);

impl MakeTlsConnect<Socket> for Connector {
    type Stream = Encrypted;
    type TlsConnect = Connecting;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Connecting> {
        let name = ServerName::try_from(domain.to_owned()).map_err(io::Error::other)?;
        Ok(Connecting { config: Arc::clone(&self.0), name })
    }
}

struct Connecting {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TlsConnect<Socket> for Connecting {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        let connector = tokio_rustls::TlsConnector::from(self.config);
        Box::pin(async move { Ok(Encrypted(Box::new(connector.connect(self.name, stream).await?))) })
    }
}

/// An encrypted connection.
struct Encrypted(Box<tokio_rustls::client::TlsStream<Socket>>);

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
