//! A headless Chromium, spoken to through its WebDriver.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::http::Method;
use base64::Engine as _;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

/// What the eye prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

pub(crate) struct Browser {
    pub(crate) client: Client,
    /// Killed last: it ends its Chromium with it.
    driver: Child,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _gone = self.driver.kill();
        let _ended = self.driver.wait();
    }
}

/// A command of Chromium's own protocol, which is more than WebDriver has.
#[derive(Debug)]
struct DevTools(Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, ParseError> {
        base_url.join(&format!("session/{}/goog/cdp/execute", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.to_string()))
    }
}

/// The messages of the page's console, each one once.
#[derive(Debug)]
struct Console;

impl WebDriverCompatibleCommand for Console {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, ParseError> {
        base_url.join(&format!("session/{}/se/log", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

impl Browser {
    /// `None`, with a word to whoever reads along, where there is no Chromium and `CI` is not `true`.
    pub(crate) async fn start() -> Option<Self> {
        let spawned = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut driver = match spawned {
            Ok(driver) => driver,
            Err(error) => {
                let required = std::env::var("CI").is_ok_and(|value| value == "true");
                assert!(!required, "the pages must be seen in a browser, but chromedriver: {error}");
                // Past the test harness's capture, or nobody would learn of it.
                let _closed = writeln!(std::io::stderr(), "skipped: chromedriver: {error}");
                return None;
            }
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.rsplit_once("successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok()
            })
            .expect("chromedriver tells its port");
        // Nothing may be blocked by a full pipe later.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = TempDir::new().unwrap();
        let capabilities = json!({
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": [
                "--headless=new", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage", "--no-first-run",
                // Chromium refuses root a sandbox; it sees nothing here but our own pages.
                "--no-sandbox", format!("--user-data-dir={}", profile.path().display()),
            ] },
        });
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        Some(Self { client, driver, _profile: profile })
    }

    async fn tools(&self, command: &str, parameters: Value) -> Value {
        let command = DevTools(json!({ "cmd": command, "params": parameters }));
        self.client.issue_cmd(command).await.unwrap()
    }

    pub(crate) async fn look_like(&self, scheme: Scheme, width: u32, height: u32) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme.name() });
        self.tools("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub(crate) async fn run_scripts(&self, on: bool) {
        self.tools("Emulation.setScriptExecutionDisabled", json!({ "value": !on })).await;
    }

    /// The whole page, down to its end, as PNG.
    pub(crate) async fn screenshot(&self) -> Vec<u8> {
        let shot = self.tools("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// What the page's console was told since the last call; a violation of the page's own policy is there.
    pub(crate) async fn console(&self) -> Vec<String> {
        let entries = self.client.issue_cmd(Console).await.unwrap();
        entries.as_array().unwrap().iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// Does what leads to another page, and waits until that one is there.
    pub(crate) async fn follow(&self, act: impl AsyncFnOnce(&Client)) {
        const PAGE: &str = "return document.readyState === 'complete' ? performance.timeOrigin : 0;";
        let before = self.client.execute(PAGE, Vec::new()).await.unwrap();
        act(&self.client).await;
        for _ in 0..1_000 {
            // Between two pages there is none to ask.
            let now = self.client.execute(PAGE, Vec::new()).await.unwrap_or_default();
            if now.as_f64().is_some_and(|now| now > 0.0) && now != before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no other page came");
    }

    /// Follows what a click leads to.
    pub(crate) async fn click(&self, what: Locator<'_>) {
        self.follow(async |client| client.find(what).await.unwrap().click().await.unwrap()).await;
    }

    /// The value of an expression in the page.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.client.execute(&format!("return ({expression});"), Vec::new()).await.unwrap()
    }
}
