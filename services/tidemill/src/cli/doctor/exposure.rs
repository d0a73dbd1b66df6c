//! What others can reach: listeners, the bus, the store's back doors, and the caps on what they may send.

use super::check::Check;
use crate::cli::target::Target;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;
use tidemill_runtime::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const AREA: &str = "security";
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest answer that is read.
const ANSWER_BYTES: u64 = 1 << 14;
/// Doors of SeaweedFS behind its S3 gateway. They ask nobody for a key.
const DOORS: [(u16, &str); 3] = [(9333, "master"), (8888, "filer"), (8080, "volume server")];
/// Highest sensible caps: rows of a request, predictions in memory, bytes of a commit.
const CAPS: (u64, u64, u64) = (100_000, 10_000_000, 1 << 30);

/// Checks what is exposed.
pub(super) async fn checks(target: &Target) -> Vec<Check> {
    let config = &target.config;
    let mut checks = vec![listeners(config), bus(target)];
    checks.push(store(config));
    checks.push(back_doors(config).await);
    checks.push(caps(config));
    checks
}

/// Whether a host is reached from this machine only.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Host of `host:port` or of a URL.
fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap_or(rest);
    rest.rsplit_once(':').map_or(rest, |(host, _)| host)
}

/// Container engines leave one of these files.
fn in_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|file| Path::new(file).exists())
}

fn listeners(config: &Config) -> Check {
    let name = "listeners";
    let mut all = vec![
        ("admin.bind", config.admin.bind.as_str()),
        ("feature.grpc", &config.feature.grpc),
        ("training.grpc", &config.training.grpc),
        ("evaluation.grpc", &config.evaluation.grpc),
        ("serving.grpc", &config.serving.grpc),
        ("serving.http", &config.serving.http),
        ("monitoring.grpc", &config.monitoring.grpc),
        ("console.http", &config.console.http),
    ];
    all.extend(config.ingestion.http.as_deref().map(|address| ("ingestion.http", address)));
    all.extend(config.validation.flight.as_deref().map(|address| ("validation.flight", address)));
    all.extend(config.admin.grpc.as_deref().map(|address| ("admin.grpc", address)));
    judge_listeners(name, &all, in_container())
}

fn judge_listeners(name: &str, all: &[(&str, &str)], contained: bool) -> Check {
    let exposed: Vec<String> = all
        .iter()
        .filter(|(_, address)| !is_loopback(host(address)))
        .map(|(key, address)| format!("{key} = {address}"))
        .collect();
    let Some(first) = exposed.first() else {
        return Check::ok(AREA, name, "loopback only");
    };
    let key = first.split(' ').next().unwrap_or_default();
    let seen = format!("without TLS and keys: {}", exposed.join(", "));
    if contained {
        return Check::warn(AREA, name, format!("inside a container, {seen}"))
            .mended_by("publish ports on 127.0.0.1 only, and keep the network internal");
    }
    Check::open(AREA, name, seen).mended_by(format!("--set {key}=127.0.0.1:PORT, behind a proxy with TLS and keys"))
}

fn bus(target: &Target) -> Check {
    let name = "bus identity";
    let (url, config) = (target.bus_url(), &target.config.bus);
    let (nkey, tls) = (config.nkey_file.is_some(), url.starts_with("tls://") || config.ca_file.is_some());
    let remote = !url.split(',').all(|url| is_loopback(host(url)));
    match (remote, nkey, tls) {
        (false, true, _) => Check::ok(AREA, name, "loopback, with an nkey"),
        (false, false, _) => Check::ok(AREA, name, "loopback, so everybody on this machine may use it"),
        (true, true, true) => Check::ok(AREA, name, "nkey and TLS"),
        (true, false, _) => Check::open(AREA, name, format!("{url} is used without an nkey"))
            .mended_by("tidemill secrets init DIR, then --set bus.nkey_file=DIR/ROLE/nkey.seed"),
        (true, true, false) if in_container() => {
            Check::warn(AREA, name, "nkey, but no TLS within the container network")
                .mended_by("keep the network internal, or --set bus.ca_file=FILE")
        }
        (true, true, false) => Check::open(AREA, name, format!("{url} is used with an nkey, but without TLS"))
            .mended_by("--set bus.url=tls://HOST:4222 --set bus.ca_file=FILE"),
    }
}

fn store(config: &Config) -> Check {
    let name = "store identity";
    let url = config.store_url();
    if !url.starts_with("s3://") {
        return Check::ok(AREA, name, "a folder: the permissions of the data folder hold");
    }
    if config.store.access_key_file.is_none() {
        return Check::open(AREA, name, format!("{url} is used without keys"))
            .mended_by("--set store.access_key_file=FILE --set store.secret_key_file=FILE");
    }
    let endpoint = config.store.endpoint.as_deref().unwrap_or("https://");
    match (endpoint.starts_with("https://") || is_loopback(host(endpoint)), in_container()) {
        (true, _) => Check::ok(AREA, name, "keys, over TLS or loopback"),
        (false, true) => Check::warn(AREA, name, "keys, but no TLS within the container network")
            .mended_by("keep the network internal, or take an https:// endpoint"),
        (false, false) => Check::open(AREA, name, format!("keys, but no TLS to {endpoint}"))
            .mended_by("--set store.endpoint=https://HOST"),
    }
}

/// The master, filer and volume server of SeaweedFS hand out and take everything without a key.
async fn back_doors(config: &Config) -> Check {
    let name = "SeaweedFS back doors";
    let Some(endpoint) = config.store.endpoint.as_deref().filter(|_| config.store_url().starts_with("s3://")) else {
        return Check::skipped(AREA, name, "the store is no SeaweedFS");
    };
    let place = host(endpoint).to_owned();
    judge_doors(name, &place, &DOORS).await
}

async fn judge_doors(name: &str, place: &str, doors: &[(u16, &str)]) -> Check {
    let mut reachable = Vec::new();
    for (port, what) in doors {
        if answers(place, *port).await {
            reachable.push(format!("{what} at {place}:{port}"));
        }
    }
    if reachable.is_empty() {
        return Check::ok(AREA, name, format!("none of its ports answers at {place}"));
    }
    let seen = format!("reachable without a key: {}", reachable.join(", "));
    let mend = "start weed with -ip.bind=127.0.0.1 in a container of its own, and publish its S3 port only";
    if is_loopback(place) {
        return Check::warn(AREA, name, format!("{seen}, by everybody on this machine")).mended_by(mend);
    }
    Check::open(AREA, name, seen).mended_by(mend)
}

/// Whether a SeaweedFS answers HTTP there; other servers may well use these ports.
async fn answers(place: &str, port: u16) -> bool {
    let place = place.trim_matches(['[', ']']).to_owned();
    let asked = async {
        let found = tokio::task::spawn_blocking(move || (place.as_str(), port).to_socket_addrs().ok()?.next());
        let mut socket = TcpStream::connect(found.await.ok()??).await.ok()?;
        socket.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.ok()?;
        let mut answer = Vec::new();
        socket.take(ANSWER_BYTES).read_to_end(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer).to_lowercase().contains("seaweedfs"))
    };
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Some(true)))
}

/// What one message, request or commit may cost. Those of the formats are fixed in the program.
fn caps(config: &Config) -> Check {
    let name = "caps";
    let limits = tidemill_conform::Limits::default();
    let found = [
        ("serving.request_rows", config.serving.request_rows, CAPS.0),
        ("serving.log_buffer_rows", config.serving.log_buffer_rows, CAPS.1),
        ("ingestion.commit_bytes", config.ingestion.commit_bytes.0, CAPS.2),
    ];
    if let Some((key, value, cap)) = found.iter().find(|(_, value, cap)| value == &0 || value > cap) {
        let seen = format!("{key} = {value} is no bound: 1 to {cap} is");
        return Check::open(AREA, name, seen).mended_by(format!("--set {key}={cap}"));
    }
    let (body, decoded) = (limits.body_bytes >> 20, limits.decoded_bytes >> 20);
    let seen = format!("event {body} MiB, {decoded} MiB unpacked, {} rows; request {} rows", limits.rows, found[0].1);
    Check::ok(AREA, name, seen)
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;
    use std::collections::BTreeMap;
    use tokio::net::TcpListener;

    fn target(settings: &[(&str, &str)]) -> Target {
        let nothing = BTreeMap::<String, String>::new();
        let settings: Vec<_> = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Target::find(Config::load_with(None, &nothing, &settings).unwrap()).unwrap()
    }

    #[test]
    fn hosts_are_read_from_addresses_and_urls() {
        for (address, name) in [
            ("127.0.0.1:80", "127.0.0.1"),
            ("nats://user:pass@bus:4222", "bus"),
            ("http://[::1]:8333/x", "[::1]"),
            ("https://s3.example", "s3.example"),
        ] {
            assert_eq!(host(address), name);
        }
        assert!(
            is_loopback("localhost") && is_loopback("[::1]") && is_loopback("127.0.0.2") && !is_loopback("0.0.0.0")
        );
    }

    #[test]
    fn a_listener_for_everybody_is_open_outside_a_container() {
        let all = [("admin.bind", "127.0.0.1:1"), ("serving.http", "0.0.0.0:8000")];
        assert_eq!(judge_listeners("l", &all[..1], false).state(), State::Ok);
        let check = judge_listeners("l", &all, false);
        assert_eq!(check.state(), State::Open);
        assert!(check.row()["mend"].as_str().unwrap().contains("serving.http=127.0.0.1"), "{check:?}");
        assert_eq!(judge_listeners("l", &all, true).state(), State::Warn);
    }

    #[test]
    fn a_bus_elsewhere_needs_an_nkey() {
        assert_eq!(bus(&target(&[])).state(), State::Ok);
        let check = bus(&target(&[("bus.url", "nats://10.0.0.5:4222")]));
        assert_eq!(check.state(), State::Open);
        assert!(check.row()["mend"].as_str().unwrap().contains("bus.nkey_file"), "{check:?}");
        let both = [("bus.url", "tls://10.0.0.5:4222"), ("bus.nkey_file", "/run/seed")];
        assert_eq!(bus(&target(&both)).state(), State::Ok);
    }

    #[test]
    fn a_cap_that_bounds_nothing_is_open() {
        assert_eq!(caps(&target(&[]).config).state(), State::Ok);
        assert_eq!(caps(&target(&[("serving.request_rows", "1000000")]).config).state(), State::Open);
        assert_eq!(caps(&target(&[("ingestion.commit_bytes", "8GB")]).config).state(), State::Open);
    }

    #[test]
    fn a_bucket_without_keys_is_open() {
        let s3 = [("store.url", "s3://tidemill"), ("store.endpoint", "http://10.0.0.6:8333")];
        assert_eq!(store(&target(&s3).config).state(), State::Open);
        assert_eq!(store(&target(&[]).config).state(), State::Ok);
    }

    #[tokio::test]
    async fn only_what_says_that_it_is_seaweedfs_counts_as_a_back_door() {
        let serve = |words: &'static str| async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::spawn(async move {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut asked = [0; 64];
                let _ = socket.read(&mut asked).await;
                socket.write_all(format!("HTTP/1.1 200 OK\r\nServer: {words}\r\n\r\n").as_bytes()).await.unwrap();
            });
            port
        };
        let (filer, other) = (serve("SeaweedFS 4.48").await, serve("nginx").await);
        let check = judge_doors("d", "127.0.0.1", &[(filer, "filer"), (other, "master")]).await;
        assert_eq!(check.state(), State::Warn);
        let seen = check.row()["seen"].as_str().unwrap().to_owned();
        assert!(seen.contains("filer") && !seen.contains("master"), "{seen}");
    }
}
