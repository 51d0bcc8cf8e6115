//! Pictures of every page and dialog of the portal and the console, with keys in every state, light and dark, wide and narrow:
//! `cargo xtask screenshots`.
//!
//! The first argument is the folder they go to. Whoever changes a page looks at them.

mod camera;
mod console;
mod demo;
mod tour;

use std::path::PathBuf;

use camera::Camera;
use claviger_test_browser::{Manner, Width};
use demo::Demo;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("the folder for the pictures"));
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut taken = 0;
    for (width, wide) in [(Width::Wide, "wide"), (Width::Narrow, "narrow")] {
        for (dark, colours) in [(false, "light"), (true, "dark")] {
            // Each on data of its own, since the tour changes some.
            let demo = Demo::start().await;
            let manner = Manner { dark, width, ..Manner::default() };
            let mut camera = Camera::open(manner, &folder, &format!("{colours}-{wide}")).await;
            tour::take(&demo, &mut camera).await;
            console::take(&demo, &mut camera).await;
            taken += camera.close().await;
        }
    }
    say(&format!("{taken} pictures in {}", folder.display()));
}

#[expect(clippy::print_stdout, reason = "for the person who runs it")]
fn say(line: &str) {
    println!("{line}");
}
