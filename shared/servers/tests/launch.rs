//! The real programs are obtained, started, crashed and started again.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use tidemill_servers::{NatsOptions, NatsServer, Obtain, SeaweedFs, SeaweedOptions, nats_server, seaweedfs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    status.is_ok_and(|text| !text.contains("State:\tZ"))
}

#[tokio::test]
async fn nats_starts_crashes_and_starts_again_on_the_same_port() {
    let dir = tempfile::tempdir().unwrap();
    let binary = nats_server(&Obtain::from_env()).await.unwrap();
    let mut server = NatsServer::start(NatsOptions::new(binary, dir.path())).await.unwrap();
    let (port, pid) = (server.client_port(), server.pid());
    assert!(alive(pid));
    server.kill().await.unwrap();
    assert!(!alive(pid));
    server.restart().await.unwrap();
    assert_eq!(server.client_port(), port);

    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut text = vec![0; 4096];
    let n = socket.read(&mut text).await.unwrap();
    let info = String::from_utf8_lossy(&text[..n]).into_owned();
    assert!(info.contains("\"jetstream\":true") && info.contains("\"max_payload\":8388608"), "{info}");
    socket.write_all(b"PING\r\n").await.unwrap();

    let pid = server.pid();
    drop(server);
    assert!(!alive(pid));
    let log = std::fs::read_to_string(dir.path().join("nats.log")).unwrap();
    assert!(log.contains("sync_interval: always") || !log.contains("[ERR]"), "{log}");
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let binary = nats_server(&Obtain::from_env()).await.unwrap();
    let mut options = NatsOptions::new(binary, dir.path());
    options.config = Some("no_such_setting: {".to_owned());
    let error = NatsServer::start(options).await.unwrap_err().to_string();
    assert!(error.contains("nats.log") && error.contains("ended"), "{error}");
}

#[tokio::test]
async fn parallel_requests_share_one_download() {
    let obtain = Obtain::from_env();
    let (a, b) = tokio::join!(nats_server(&obtain), nats_server(&obtain));
    assert_eq!(a.unwrap(), b.unwrap());
}

#[cfg(unix)]
#[tokio::test]
async fn postgresql_starts_crashes_and_starts_again_also_for_root() {
    use tidemill_servers::{PostgresOptions, PostgresServer, postgresql};
    let obtain = Obtain::from_env();
    // From wherever it is found, and from the wheel.
    for obtain in [obtain.clone(), Obtain { search_path: Vec::new(), ..obtain }] {
        let dir = tempfile::tempdir().unwrap();
        let programs = postgresql(&obtain).await.unwrap();
        let mut server = PostgresServer::start(PostgresOptions::new(programs, dir.path())).await.unwrap();
        let port = server.port();
        server.kill().await.unwrap();
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
        server.restart().await.unwrap();
        assert_eq!(server.port(), port);
        TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let data = dir.path().join("data/PG_VERSION");
        assert!(data.is_file());
    }
}

#[tokio::test]
async fn seaweedfs_starts_with_a_bucket_and_refuses_strangers() {
    let dir = tempfile::tempdir().unwrap();
    let binary = seaweedfs(&Obtain::from_env()).await.unwrap();
    let mut server = SeaweedFs::start(SeaweedOptions::new(binary, dir.path())).await.unwrap();
    let endpoint = server.endpoint();
    let host = endpoint.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(host).await.unwrap();
    let request = format!("GET /{}/ HTTP/1.0\r\nHost: {host}\r\n\r\n", server.bucket());
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(" 403 "), "{answer}");
    server.kill().await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(server.endpoint(), endpoint);
}
