//! Object stores by URL: a folder or an S3 bucket.
//!
//! The only crate that opens object stores. Paths are relative, checked, and the same on both kinds of store. Writes
//! are complete or absent; to a local folder they are flushed to the disk before the call returns. What the objects
//! mean is the business of the callers.

mod error;
mod local;
mod path;

pub use error::Error;

use bytes::Bytes;
use futures::TryStreamExt as _;
use local::Existing;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, RetryConfig};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidemill_types::Millis;

/// How to reach an S3 bucket; ignored for folders.
#[derive(Clone, Default)]
pub struct S3Options {
    /// Base URL of the service, such as `http://127.0.0.1:8333`; `None` for AWS.
    pub endpoint: Option<String>,
    /// Region; `us-east-1` when absent.
    pub region: Option<String>,
    /// Access key id; without it requests are not signed.
    pub access_key_id: Option<String>,
    /// Secret access key.
    pub secret_access_key: Option<String>,
    /// Whether plain HTTP is allowed.
    pub allow_http: bool,
}

impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Options")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &self.secret_access_key.as_ref().map(|_| "redacted"))
            .field("allow_http", &self.allow_http)
            .finish()
    }
}

/// What a listing says about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Path relative to the store.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was last written, by the store's clock.
    pub modified: Millis,
}

/// An opened object store. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    url: Arc<str>,
    /// The whole file system or bucket.
    root: Arc<dyn ObjectStore>,
    /// Where in `root` this store's objects lie.
    prefix: Path,
    /// `root` seen from `prefix`.
    store: Arc<dyn ObjectStore>,
    /// Set for local folders.
    folder: Option<PathBuf>,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Storage").field(&self.url).finish()
    }
}

impl Storage {
    /// Opens `file:///absolute/folder`, made when absent, or `s3://bucket[/prefix]`. Does not contact the service.
    ///
    /// # Errors
    /// [`Error::Url`] when the URL or options cannot be used.
    pub fn open(url: &str, options: &S3Options) -> Result<Self, Error> {
        let url = url.trim_end_matches('/');
        if let Some(folder) = url.strip_prefix("file://") {
            return Self::open_folder(url, folder);
        }
        if let Some(place) = url.strip_prefix("s3://") {
            return Self::open_bucket(url, place, options);
        }
        Err(bad(url, "expected file:///absolute/folder or s3://bucket"))
    }

    fn open_folder(url: &str, folder: &str) -> Result<Self, Error> {
        let folder = PathBuf::from(folder);
        if !folder.is_absolute() {
            return Err(bad(url, "the folder is not absolute"));
        }
        std::fs::create_dir_all(&folder).map_err(|e| bad(url, e))?;
        let folder = folder.canonicalize().map_err(|e| bad(url, e))?;
        let prefix = Path::from_absolute_path(&folder).map_err(|e| bad(url, e))?;
        let root: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
        let url = format!("file://{}", folder.display());
        Ok(Self::over(&url, root, prefix, Some(folder)))
    }

    fn open_bucket(url: &str, place: &str, options: &S3Options) -> Result<Self, Error> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = if prefix.is_empty() { Path::default() } else { path::checked(prefix)? };
        let http = ClientOptions::new().with_timeout(Duration::from_secs(60)).with_allow_http(options.allow_http);
        let retry = RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(options.region.as_deref().unwrap_or("us-east-1"))
            .with_client_options(http)
            .with_retry(retry);
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        builder = match (&options.access_key_id, &options.secret_access_key) {
            (Some(id), Some(secret)) => builder.with_access_key_id(id).with_secret_access_key(secret),
            (None, None) => builder.with_skip_signature(true),
            _ => return Err(bad(url, "access key id and secret access key belong together")),
        };
        let root: Arc<dyn ObjectStore> = Arc::new(builder.build().map_err(|e| bad(url, e))?);
        Ok(Self::over(url, root, prefix, None))
    }

    fn over(url: &str, root: Arc<dyn ObjectStore>, prefix: Path, folder: Option<PathBuf>) -> Self {
        let store: Arc<dyn ObjectStore> = if prefix.as_ref().is_empty() {
            Arc::clone(&root)
        } else {
            Arc::new(PrefixStore::new(Arc::clone(&root), prefix.clone()))
        };
        Self { url: url.into(), root, prefix, store, folder }
    }

    /// URL without a trailing slash; an object's URL is this, a slash and its path.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is a local folder, where what was written is on the disk before the call returns.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.folder.is_some()
    }

    /// The store as the library sees it, for the crate that owns the tables.
    #[must_use]
    pub fn raw(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    /// The whole file system or bucket in which this store lies under [`Storage::prefix`].
    #[must_use]
    pub fn root(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.root)
    }

    /// Where in [`Storage::root`] this store's objects lie.
    #[must_use]
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Reads a whole object.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it does not exist.
    pub async fn get(&self, path: &str) -> Result<Bytes, Error> {
        let location = path::checked(path)?;
        let found = self.store.get(&location).await.map_err(|e| Error::of("read", path, e))?;
        found.bytes().await.map_err(|e| Error::of("read", path, e))
    }

    /// Reads some bytes of an object that a listing named, which may be called as no object of ours is.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it does not exist.
    pub async fn get_range(&self, path: &str, range: std::ops::Range<u64>) -> Result<Bytes, Error> {
        let location = Path::parse(path).map_err(|_| Error::Path(path.to_owned()))?;
        self.store.get_range(&location, range).await.map_err(|e| Error::of("read", path, e))
    }

    /// Reads several parts of an object, as [`Storage::get_range`]; parts that lie close together in one request.
    ///
    /// # Errors
    /// As [`Storage::get_range`].
    pub async fn get_ranges(&self, path: &str, ranges: &[std::ops::Range<u64>]) -> Result<Vec<Bytes>, Error> {
        let location = Path::parse(path).map_err(|_| Error::Path(path.to_owned()))?;
        self.store.get_ranges(&location, ranges).await.map_err(|e| Error::of("read", path, e))
    }

    /// Size and time of an object that a listing named.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it does not exist.
    pub async fn head_listed(&self, path: &str) -> Result<ObjectInfo, Error> {
        let location = Path::parse(path).map_err(|_| Error::Path(path.to_owned()))?;
        self.store.head(&location).await.map(|meta| info(&meta)).map_err(|e| Error::of("read", path, e))
    }

    /// Writes an object, replacing what is there.
    ///
    /// # Errors
    /// When the store cannot take it; then the old object, if any, is still there.
    pub async fn put(&self, path: &str, content: impl Into<Bytes> + Send) -> Result<(), Error> {
        self.write(path, content.into(), Existing::Replace).await.map(|_| ())
    }

    /// Writes an object unless it exists; true when this call wrote it. Atomic against other writers.
    ///
    /// # Errors
    /// When the store cannot take it, or when it did not answer: then the object may or may not be there.
    pub async fn put_if_absent(&self, path: &str, content: impl Into<Bytes> + Send) -> Result<bool, Error> {
        self.write(path, content.into(), Existing::Keep).await
    }

    async fn write(&self, path: &str, content: Bytes, existing: Existing) -> Result<bool, Error> {
        let location = path::checked(path)?;
        if let Some(folder) = &self.folder {
            let target = folder.join(location.as_ref());
            let written = tokio::task::spawn_blocking(move || local::write(&target, &content, existing)).await;
            let failed = |reason: String| Error::Unavailable { action: "write", path: path.to_owned(), reason };
            return written.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()));
        }
        let mode = if existing == Existing::Keep { PutMode::Create } else { PutMode::Overwrite };
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(&location, PutPayload::from(content), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(e) => Err(Error::of("write", path, e)),
        }
    }

    /// Size and time of an object.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it does not exist.
    pub async fn head(&self, path: &str) -> Result<ObjectInfo, Error> {
        let location = path::checked(path)?;
        self.store.head(&location).await.map(|meta| info(&meta)).map_err(|e| Error::of("read", path, e))
    }

    /// Whether the object exists.
    ///
    /// # Errors
    /// When the store cannot tell.
    pub async fn exists(&self, path: &str) -> Result<bool, Error> {
        match self.head(path).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// All objects below a folder-like prefix (empty for all), sorted by path.
    ///
    /// # Errors
    /// When the store cannot list.
    pub async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, Error> {
        let location = if prefix.is_empty() { None } else { Some(path::checked(prefix.trim_end_matches('/'))?) };
        let listing = self.store.list(location.as_ref()).map_ok(|meta| info(&meta));
        let mut found: Vec<_> = listing.try_collect().await.map_err(|e| Error::of("list", prefix, e))?;
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Removes an object; one that is not there counts as removed.
    ///
    /// # Errors
    /// When the store cannot remove it.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        let location = path::checked(path)?;
        match self.store.delete(&location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(Error::of("delete", path, e)),
        }
    }
}

fn bad(url: &str, reason: impl fmt::Display) -> Error {
    Error::Url { url: url.to_owned(), reason: reason.to_string() }
}

fn info(meta: &object_store::ObjectMeta) -> ObjectInfo {
    let modified = Millis(meta.last_modified.timestamp_millis());
    ObjectInfo { path: meta.location.to_string(), size: meta.size, modified }
}
