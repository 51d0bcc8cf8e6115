//! Browsers: one driver for all of a process's tests, and a browser with a fresh profile for each.

use std::sync::OnceLock;

use ::http::Method;
use claviger_test_services::Chromedriver;
use serde_json::{Value, json};
use thirtyfour::common::command::FormatRequestData;
use thirtyfour::prelude::*;
use thirtyfour::{RequestData, SessionId};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::http::Http;

/// So many browsers at once; further tests wait.
static ROOM: Semaphore = Semaphore::const_new(2);
/// Ends with the process, however that ends.
static DRIVER: OnceLock<Chromedriver> = OnceLock::new();

/// No sandbox, since tests run as root in containers, too; nothing that asks the network for what no test asked for; and
/// a browser that ends with its driver.
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
];

/// How wide a window is, in CSS pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Width {
    /// A desktop's: 1200.
    #[default]
    Wide,
    /// A small phone's: 360.
    Narrow,
}

impl Width {
    fn pixels(self) -> u32 {
        match self {
            Self::Wide => 1_200,
            Self::Narrow => 360,
        }
    }

    fn height(self) -> u32 {
        match self {
            Self::Wide => 800,
            Self::Narrow => 740,
        }
    }
}

/// What a person's browser is like.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Whether pages may run scripts.
    pub scripts: bool,
    /// Whether the system is set to dark.
    pub dark: bool,
    /// The window's width.
    pub width: Width,
}

impl Default for Manner {
    fn default() -> Self {
        Self { scripts: true, dark: false, width: Width::Wide }
    }
}

/// Opens a browser. It counts against [`ROOM`] until the permit is dropped.
pub(crate) async fn open(manner: Manner) -> (WebDriver, SemaphorePermit<'static>) {
    let permit = ROOM.acquire().await.expect("it is never closed");
    let url = DRIVER.get_or_init(|| Chromedriver::start().expect("Chromium's driver starts")).url();
    let mut options = json!({ "args": FLAGS });
    if !manner.scripts {
        options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
    }
    let mut capabilities = Capabilities::new();
    capabilities.set("goog:chromeOptions", options).expect("plain JSON");
    capabilities.set("goog:loggingPrefs", json!({ "browser": "ALL" })).expect("plain JSON");
    let driver = WebDriver::builder(url, capabilities).client(Http::new()).connect().await.expect("a browser opens");
    appear(&driver, manner).await;
    (driver, permit)
}

/// Gives the tab that is in front its size and its system's colours. Every tab has its own.
pub(crate) async fn appear(driver: &WebDriver, manner: Manner) {
    let size = json!({
        "width": manner.width.pixels(), "height": manner.width.height(), "deviceScaleFactor": 1, "mobile": false,
    });
    devtools(driver, "Emulation.setDeviceMetricsOverride", size).await;
    // Else they take some of the width away.
    devtools(driver, "Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    let scheme = if manner.dark { "dark" } else { "light" };
    let features = json!([
        { "name": "prefers-color-scheme", "value": scheme },
        // What moves is looked at when it stands.
        { "name": "prefers-reduced-motion", "value": "reduce" },
    ]);
    devtools(driver, "Emulation.setEmulatedMedia", json!({ "features": features })).await;
}

/// Asks the browser for what WebDriver has no word for.
pub(crate) async fn devtools(driver: &WebDriver, command: &'static str, params: Value) -> Value {
    try_devtools(driver, command, params).await.unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// The same, of a browser that may be gone.
pub(crate) async fn try_devtools(driver: &WebDriver, command: &'static str, params: Value) -> WebDriverResult<Value> {
    driver.cmd(Devtools { command, params }).await?.value_json()
}

#[derive(Debug)]
struct Devtools {
    command: &'static str,
    params: Value,
}

impl FormatRequestData for Devtools {
    fn format_request(&self, session: &SessionId) -> RequestData {
        let body = json!({ "cmd": self.command, "params": self.params });
        RequestData::new(Method::POST, format!("session/{session}/goog/cdp/execute")).add_body(body)
    }
}

/// What a screen reader calls an element. WebDriver has it, and the client has no word for it.
pub(crate) async fn spoken_name(element: &WebElement) -> WebDriverResult<String> {
    element.handle().cmd(SpokenName(element.element_id().to_string())).await?.value()
}

#[derive(Debug)]
struct SpokenName(String);

impl FormatRequestData for SpokenName {
    fn format_request(&self, session: &SessionId) -> RequestData {
        RequestData::new(Method::GET, format!("session/{session}/element/{}/computedlabel", self.0))
    }
}
