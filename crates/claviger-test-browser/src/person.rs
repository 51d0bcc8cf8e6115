//! Somebody with a browser, and what they do with it.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thirtyfour::prelude::*;
use tokio::sync::SemaphorePermit;

use crate::session::{self, Manner, spoken_name};
use crate::{Seen, find};

/// How soon something must have come about: long for a page, and short for a person whose machine is busy.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks at whether it has.
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// What scripts have stored, and the addresses that were asked for.
const KEPT: &str = "return JSON.stringify([{...localStorage}, {...sessionStorage}, \
                    performance.getEntries().map(entry => entry.name)])";

/// Somebody with a browser of their own.
pub struct Person {
    pub(crate) driver: WebDriver,
    pub(crate) manner: Manner,
    pub(crate) seen: Seen,
    /// What the browser may complain about.
    expected: Vec<String>,
    /// Whether a frame is looked into. There the driver does not tell what a screen reader says.
    in_frame: bool,
    _room: SemaphorePermit<'static>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").field("manner", &self.manner).finish_non_exhaustive()
    }
}

impl Person {
    /// Somebody who opens a browser with a fresh profile. Waits while there are browsers enough.
    pub async fn arrives(manner: Manner) -> Self {
        let (driver, room) = session::open(manner).await;
        Self { driver, manner, seen: Seen::default(), expected: Vec::new(), in_frame: false, _room: room }
    }

    /// Opens an address.
    pub async fn opens(&mut self, address: &str) {
        self.note().await;
        self.driver.goto(address).await.unwrap_or_else(|error| panic!("{address} does not open: {error}"));
        self.note().await;
    }

    /// Loads the page anew.
    pub async fn reloads(&mut self) {
        self.driver.refresh().await.expect("the page loads again");
        self.note().await;
    }

    /// Goes back a page.
    pub async fn goes_back(&mut self) {
        self.driver.back().await.expect("there is a page to go back to");
        self.note().await;
    }

    /// Clicks the button or the link of this name. What a screen reader calls it must be the same.
    pub async fn clicks(&mut self, name: &str) {
        self.clicks_on(find::control(name), name).await;
    }

    /// Clicks the button of this name that sends a form, and not a link or a summary that is called the same.
    pub async fn sends(&mut self, name: &str) {
        self.clicks_on(find::sender(name), name).await;
    }

    async fn clicks_on(&mut self, what: By, name: &str) {
        self.note().await;
        let wanted = format!("“{name}” to click");
        let clicked = self.until(&wanted, async || {
            let control = self.the_shown(what.clone()).await?;
            let spoken = self.spoken(&control).await?;
            control.click().await.ok()?;
            Some(spoken)
        });
        assert!(clicked.await.is_none_or(|spoken| spoken == name), "a screen reader calls “{name}” something else");
        self.note().await;
    }

    /// Types this into the field of this label, in the place of what is there.
    pub async fn fills(&mut self, label: &str, text: &str) {
        let what = format!("a field “{label}” to fill");
        let filled = self.until(&what, async || {
            let field = self.the_shown(find::field(label)).await?;
            let spoken = self.spoken(&field).await?;
            field.clear().await.ok()?;
            field.send_keys(text).await.ok()?;
            Some(spoken)
        });
        assert!(filled.await.is_none_or(|spoken| spoken == label), "a screen reader calls “{label}” something else");
        self.note().await;
    }

    /// Chooses an option, by its words, in the list of this label.
    pub async fn chooses(&mut self, label: &str, option: &str) {
        let what = format!("an option “{option}” of “{label}”");
        let chosen = async || {
            let list = self.the_shown(find::field(label)).await?;
            list.find(find::option(option)).await.ok()?.click().await.ok()
        };
        self.until(&what, chosen).await;
    }

    /// Ticks or unticks the box of this label.
    pub async fn ticks(&mut self, label: &str) {
        let what = format!("a box “{label}” to tick");
        self.until(&what, async || self.the_shown(find::field(label)).await?.click().await.ok()).await;
    }

    /// Whether the box of this label is ticked.
    pub async fn is_ticked(&self, label: &str) -> bool {
        let what = format!("a box “{label}”");
        self.until(&what, async || self.the_shown(find::field(label)).await?.is_selected().await.ok()).await
    }

    /// What stands in the field of this label.
    pub async fn value_of(&self, label: &str) -> String {
        let what = format!("a field “{label}”");
        let value = async || self.the_shown(find::field(label)).await?.prop("value").await.ok();
        self.until(&what, value).await.unwrap_or_default()
    }

    /// Sends the form in which the field of this label is, as the Enter key does.
    pub async fn enters(&mut self, label: &str) {
        let what = format!("a field “{label}” to press Enter in");
        let entered = async || self.the_shown(find::field(label)).await?.send_keys(Key::Enter + "").await.ok();
        self.until(&what, entered).await;
        self.note().await;
    }

    /// Opens a further tab, and has it in front.
    pub async fn opens_a_tab(&mut self, address: &str) {
        let tab = self.driver.new_tab().await.expect("a tab opens");
        self.driver.switch_to_window(tab).await.expect("the tab comes to the front");
        session::appear(&self.driver, self.manner).await;
        self.opens(address).await;
    }

    /// Has another tab in front, by its number from 0 in the order of opening.
    pub async fn turns_to_tab(&mut self, number: usize) {
        let tabs = self.driver.windows().await.expect("tabs");
        self.driver.switch_to_window(tabs[number].clone()).await.expect("the tab comes to the front");
        self.note().await;
    }

    /// Looks into the page's first frame from now on.
    pub async fn looks_into_the_frame(&mut self) {
        let what = "a frame to look into";
        self.until(what, async || self.driver.enter_frame(0).await.ok()).await;
        self.in_frame = true;
        self.note().await;
    }

    /// Fails where the frame that is looked into shows anything but the browser's own page, in the place of one that its
    /// server lets nobody hold.
    pub async fn finds_the_frame_refused(&self) {
        let address = async || {
            let address = self.asks("return location.href").await;
            address.as_str().filter(|address| *address != "about:blank").map(str::to_owned)
        };
        let address = self.until("a page in the frame", address).await;
        assert!(address.starts_with("chrome-error:"), "the frame shows {address}");
    }

    /// Looks at the page around the frame again.
    pub async fn looks_at_the_whole_page(&mut self) {
        self.driver.enter_default_frame().await.expect("a page");
        self.in_frame = false;
    }

    /// Has the browser forget a cookie, as it does at its end.
    pub async fn forgets_the_cookie(&mut self, name: &str) {
        assert!(self.driver.get_named_cookie(name).await.is_ok(), "there is no cookie {name}");
        self.driver.delete_cookie(name).await.expect("a cookie is forgotten");
    }

    /// The cookies that go with the page.
    pub async fn cookies(&self) -> Vec<thirtyfour::Cookie> {
        self.driver.get_all_cookies().await.expect("cookies")
    }

    /// Lets the browser complain of what has these words in it: an answer that is an error by intention, for one.
    pub fn expects_complaint(&mut self, words: &str) {
        self.expected.push(words.to_owned());
    }

    /// Closes the browser, and hands over what it showed. Fails where it had something to complain about that nobody
    /// expected, such as a script's error or what the page's own policy forbids; and where a secret is in what it showed,
    /// said or kept.
    pub async fn leaves(mut self) -> Seen {
        self.note().await;
        let complaints = self.close().await.expect("the browser closes, and shows its log before");
        assert!(complaints.is_empty(), "the browser complains:\n{}", complaints.join("\n"));
        let leak = self.seen.leak();
        assert!(leak.is_none(), "{}", leak.unwrap_or_default());
        self.seen
    }

    /// Closes the browser; answers its complaints that nobody expected.
    async fn close(&mut self) -> WebDriverResult<Vec<String>> {
        let log = self.driver.browser_log().await?;
        self.driver.clone().quit().await?;
        let bad = log.iter().filter(|entry| matches!(entry.level.as_str(), "SEVERE" | "WARNING"));
        let unexpected = bad.map(|entry| entry.message.clone());
        let unexpected = unexpected.filter(|message| !self.expected.iter().any(|words| message.contains(words)));
        let complaints = unexpected.collect();
        for entry in log {
            self.seen.note_trace(entry.message);
        }
        Ok(complaints)
    }

    /// Closes the browser of a test that failed, and tells what it showed last, and whether there was a secret in anything.
    pub async fn is_interrupted(mut self) -> String {
        let address = self.address().await;
        let text = self.text().await.unwrap_or_default();
        self.note().await;
        let said = self.close().await.unwrap_or_default();
        let leak = self.seen.leak().unwrap_or_else(|| "no secret was shown".to_owned());
        format!("at {address}, which shows:\n{text}\nThe console: {}\nBeside this, {leak}", said.join("\n"))
    }

    /// Looks until there is something, or it should have been there long ago.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "there is not {what}");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// The first element of this kind that can be seen.
    pub(crate) async fn the_shown(&self, by: By) -> Option<WebElement> {
        for element in self.driver.find_all(by).await.ok()? {
            if element.is_displayed().await.ok()? {
                return Some(element);
            }
        }
        None
    }

    /// What a screen reader calls an element, where that can be told.
    async fn spoken(&self, element: &WebElement) -> Option<Option<String>> {
        if self.in_frame {
            return Some(None);
        }
        spoken_name(element).await.ok().map(|spoken| Some(one_line(&spoken)))
    }

    /// Whether a field of this label can be seen now.
    pub async fn has_field(&self, label: &str) -> bool {
        self.the_shown(find::field(label)).await.is_some()
    }

    /// Keeps the page as it stands, and what the browser keeps for it.
    pub(crate) async fn note(&mut self) {
        // A page may be on its way out just now; the next note has the next one.
        if let Ok(source) = self.driver.source().await {
            self.seen.note(self.address().await, source);
        }
        if self.manner.scripts
            && let Ok(kept) = self.driver.execute(KEPT, Vec::new()).await
        {
            self.seen.note_trace(kept.json().to_string());
        }
        // Those of all pages, also such as no script can read.
        if let Ok(cookies) = session::try_devtools(&self.driver, "Storage.getCookies", json!({})).await {
            self.seen.note_trace(cookies.to_string());
        }
    }

    /// Where the browser is.
    pub async fn address(&self) -> String {
        self.driver.current_url().await.map(String::from).unwrap_or_default()
    }

    /// What a script answers that the page knows nothing of.
    pub(crate) async fn asks(&self, script: &str) -> Value {
        let answered = self.driver.execute(script, Vec::new()).await;
        answered.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }
}

/// Text without the breaks that layout puts into it.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
