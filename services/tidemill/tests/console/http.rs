//! The smallest client of HTTP: one request, one connection.

use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// From the first byte sent to the last one read.
    pub took: Duration,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |line: &&str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        self.head.lines().find(same)?.split_once(':').map(|(_, value)| value.trim())
    }
}

/// `GET` of a path at `host:port`.
pub async fn get(host: &str, path: &str) -> Answer {
    send(host, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
}

/// `POST` of a body; `headers` end with a line break each.
pub async fn post(host: &str, path: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    send(host, &format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"))
        .await
}

/// A form as a browser sends it.
pub async fn post_form(host: &str, path: &str, body: &str) -> Answer {
    let headers = format!("Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://{host}\r\n");
    post(host, path, &headers, body).await
}

async fn send(host: &str, request: &str) -> Answer {
    let began = Instant::now();
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    // Some servers keep the connection open in spite of what they are told.
    while !is_whole(&all) && stream.read_buf(&mut all).await.unwrap() > 0 {}
    let took = began.elapsed();
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer to {request}"));
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap();
    Answer { status, head, body: all[end + 4..].to_vec(), took }
}

/// Whether an answer that states its length is there to its end.
fn is_whole(all: &[u8]) -> bool {
    let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| all.len() >= end + 4 + length)
}

/// Addresses behind `href="…"` that lead to this server, without their fragment.
pub fn links(html: &str) -> Vec<String> {
    let quoted = html.split(" href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let ours = quoted.filter(|href| href.starts_with('/') && !href.starts_with("//"));
    let plain = ours.map(|href| href.split('#').next().unwrap_or_default().replace("&amp;", "&"));
    let mut found: Vec<String> = plain.collect();
    found.sort_unstable();
    found.dedup();
    found
}
