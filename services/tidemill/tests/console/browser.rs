//! A headless Chromium and its driver, as a test needs them.

use crate::http;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidemill_testkit::Victim;

/// Longest wait for the driver.
const START: Duration = Duration::from_secs(30);

/// Chromium and chromedriver, by `CHROME` and `CHROMEDRIVER` or in `PATH`.
pub fn programs() -> Result<(PathBuf, PathBuf), String> {
    let find = |variable: &str, names: &[&str]| -> Result<PathBuf, String> {
        if let Some(path) = std::env::var_os(variable) {
            return Ok(PathBuf::from(path));
        }
        let folders: Vec<PathBuf> =
            std::env::var_os("PATH").map(|p| std::env::split_paths(&p).collect()).unwrap_or_default();
        let mut all = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        all.find(|path| path.is_file())
            .ok_or_else(|| format!("no {} in PATH and {variable} is not set", names.join(" or ")))
    };
    Ok((find("CHROME", &["chromium", "chromium-browser", "google-chrome"])?, find("CHROMEDRIVER", &["chromedriver"])?))
}

/// A browser with one page; closed and killed on drop.
pub struct Browser {
    client: Client,
    driver: String,
    session: String,
    _process: Victim,
}

impl Browser {
    /// Starts driver and browser with an empty profile in `folder`.
    pub async fn start((chrome, driver): (&Path, &Path), folder: &Path) -> Self {
        let log = folder.join("driver.log");
        let mut process = Victim::spawn(driver, ["--port=0"], [], &log).unwrap();
        process.wait_for_log("started successfully on port", START).await.unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        let digits = text.split("started successfully on port").nth(1).unwrap().trim_start();
        let port: String = digits.chars().take_while(char::is_ascii_digit).collect();
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            &profile,
        ];
        let wishes = json!({
            "goog:chromeOptions": {"binary": chrome, "args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"pageLoad": 30_000, "script": 30_000},
        });
        let driver = format!("127.0.0.1:{port}");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(wishes.as_object().unwrap().clone());
        let client = builder.connect(&format!("http://{driver}")).await.unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        Self { client, driver, session, _process: process }
    }

    /// The page of the browser.
    pub fn page(&self) -> &Client {
        &self.client
    }

    /// Lets pages see a theme and a width.
    pub async fn look(&self, theme: &str, width: u32) {
        let features = json!([{"name": "prefers-color-scheme", "value": theme}]);
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": features})).await;
        self.width(width).await;
    }

    /// Makes the page so wide, without loading it again.
    pub async fn width(&self, width: u32) {
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics).await;
    }

    /// What the console of the browser has said since it was last asked.
    pub async fn said(&self) -> Vec<String> {
        let answer = self.command("se/log", &json!({"type": "browser"})).await;
        let entries = answer.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// The whole page as a picture.
    pub async fn picture(&self) -> Vec<u8> {
        use base64::Engine as _;
        let answer = self.devtools("Page.captureScreenshot", &json!({"captureBeyondViewport": true})).await;
        base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
    }

    /// Ends the session, so that no browser is left.
    pub async fn close(self) {
        self.client.close().await.unwrap();
    }

    async fn devtools(&self, name: &str, params: &Value) -> Value {
        self.command("goog/cdp/execute", &json!({"cmd": name, "params": params})).await
    }

    /// A command of the driver that the standard does not know.
    async fn command(&self, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{path}", self.session);
        let answer = http::post(&self.driver, &path, "Content-Type: application/json\r\n", &body.to_string()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()["value"].clone()
    }
}
