//! Pictures of pages.

use data_encoding::BASE64;
use serde_json::json;

use crate::person::Person;
use crate::session::devtools;

impl Person {
    /// The window as it is, as a PNG.
    pub async fn pictures_the_window(&self) -> Vec<u8> {
        self.driver.screenshot_as_png().await.expect("a picture")
    }

    /// The whole page, as a PNG, however long it is.
    pub async fn pictures_the_page(&self) -> Vec<u8> {
        let size =
            self.asks("const page = document.documentElement; return [page.clientWidth, page.scrollHeight]").await;
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = devtools(&self.driver, "Page.captureScreenshot", params).await;
        BASE64.decode(picture["data"].as_str().expect("a picture").as_bytes()).expect("base64")
    }
}
