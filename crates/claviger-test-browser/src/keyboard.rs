//! A person without a mouse.

use thirtyfour::Key;

use crate::person::{Person, one_line};
use crate::session::spoken_name;

/// More stops than any page has.
const STOPS: usize = 400;

impl Person {
    /// Presses a key.
    pub async fn presses(&mut self, key: Key) {
        self.driver.action_chain().send_keys(key).perform().await.expect("a key is pressed");
        self.note().await;
    }

    /// Selects all that stands in the field that has the focus.
    pub async fn selects_all(&mut self) {
        let keys = self.driver.action_chain().key_down(Key::Control).send_keys("a").key_up(Key::Control);
        keys.perform().await.expect("keys are pressed");
    }

    /// Types text to wherever the focus is.
    pub async fn types(&mut self, text: &str) {
        self.driver.action_chain().send_keys(text).perform().await.expect("keys are pressed");
        self.note().await;
    }

    /// Presses Tab until the focus is on what has this name. Whatever has the focus on the way must show it.
    pub async fn tabs_to(&mut self, name: &str) {
        let mut passed = Vec::new();
        for _ in 0..STOPS {
            self.driver.action_chain().send_keys(Key::Tab).perform().await.expect("a key is pressed");
            let focused = self.focused().await;
            self.assert_focus_shows(&focused).await;
            if focused == name {
                return;
            }
            passed.push(focused);
        }
        passed.truncate(60);
        panic!("Tab does not come to “{name}”, but to {}", passed.join(" | "));
    }

    /// What a screen reader calls the thing that has the focus.
    pub async fn focused(&self) -> String {
        let named = async || spoken_name(&self.driver.active_element().await.ok()?).await.ok();
        one_line(&self.until("something with the focus", named).await)
    }

    /// Waits until the focus is on what has this name.
    pub async fn has_focus_on(&self, name: &str) {
        let what = format!("the focus on “{name}”");
        self.until(&what, async || (self.focused().await == name).then_some(())).await;
    }

    async fn assert_focus_shows(&self, name: &str) {
        // The page itself has no outline: where nothing has the focus, the browser's own surroundings have it.
        let outline = self
            .asks(
                "const on = document.activeElement; if (on === document.body) return true; \
                 const style = getComputedStyle(on); \
                 return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && on.matches(':focus-visible')",
            )
            .await;
        assert!(outline == true, "“{name}” has the focus, and does not show it");
    }
}
