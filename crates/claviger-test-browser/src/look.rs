//! What a person sees.

use thirtyfour::prelude::*;

use crate::find;
use crate::person::{Person, one_line};

impl Person {
    /// Waits until these words can be seen.
    pub async fn sees(&mut self, words: &str) {
        let what = format!("“{words}” to be seen");
        self.until(&what, async || self.text().await?.contains(words).then_some(())).await;
        self.note().await;
    }

    /// Waits until these words cannot be seen, on a page that is there.
    pub async fn sees_no_more(&mut self, words: &str) {
        let what = format!("a page without “{words}”");
        let gone = async || self.text().await.filter(|text| !text.is_empty() && !text.contains(words)).map(drop);
        self.until(&what, gone).await;
        self.note().await;
    }

    /// Waits until a heading has these words.
    pub async fn sees_heading(&mut self, words: &str) {
        let what = format!("a heading “{words}”");
        self.until(&what, async || self.the_shown(find::heading(words)).await.map(drop)).await;
        self.note().await;
    }

    /// Whether a button or a link of this name can be seen now.
    pub async fn is_offered(&self, name: &str) -> bool {
        self.the_shown(find::control(name)).await.is_some()
    }

    /// Whether these words can be seen now.
    pub async fn is_shown(&self, words: &str) -> bool {
        self.text().await.is_some_and(|text| text.contains(words))
    }

    /// The words of all headings that can be seen, in their order.
    pub async fn headings(&self) -> Vec<String> {
        let mut words = Vec::new();
        for heading in self.driver.find_all(By::Css("h1, h2, h3")).await.expect("a page") {
            let text = heading.text().await.expect("a heading");
            if !text.is_empty() {
                words.push(one_line(&text));
            }
        }
        words
    }

    /// All that can be seen of the page, or of the frame that is looked into. The driver's own way to a text looks at
    /// every element by itself, and takes long on a long page.
    pub(crate) async fn text(&self) -> Option<String> {
        let text = self.driver.execute("return document.body.innerText", Vec::new()).await.ok()?;
        text.json().as_str().map(one_line)
    }

    /// Fails where the page is wider than its window.
    pub async fn assert_fits(&self) {
        let widths =
            self.asks("const page = document.documentElement; return [page.scrollWidth, page.clientWidth]").await;
        let (page, window) = (widths[0].as_u64().expect("a width"), widths[1].as_u64().expect("a width"));
        assert!(page <= window, "{} is {page} pixels wide in a window of {window}", self.address().await);
    }

    /// The colour behind a page, as the browser computes it.
    pub async fn background(&self) -> String {
        let colour = self.asks("return getComputedStyle(document.body).backgroundColor").await;
        colour.as_str().expect("a colour").to_owned()
    }

    /// The browser's clock: seconds since 1970.
    pub async fn seconds_by_the_clock(&self) -> i64 {
        self.asks("return Math.floor(Date.now() / 1000)").await.as_i64().expect("a number")
    }
}
