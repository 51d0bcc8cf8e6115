//! A browser that takes pictures.

use std::path::{Path, PathBuf};

use claviger_test_browser::{Manner, Person};

pub(crate) struct Camera {
    pub(crate) person: Person,
    folder: PathBuf,
    /// What the names of the pictures end with.
    look: String,
    taken: usize,
}

impl Camera {
    pub(crate) async fn open(manner: Manner, folder: &Path, look: &str) -> Self {
        let person = Person::arrives(manner).await;
        Self { person, folder: folder.to_owned(), look: look.to_owned(), taken: 0 }
    }

    /// The page from top to bottom.
    pub(crate) async fn page(&mut self, name: &str) {
        let picture = self.person.pictures_the_page().await;
        self.keep(name, &picture);
    }

    /// What the window shows: for dialogs, which stand in the middle of it.
    pub(crate) async fn window(&mut self, name: &str) {
        let picture = self.person.pictures_the_window().await;
        self.keep(name, &picture);
    }

    fn keep(&mut self, name: &str, picture: &[u8]) {
        let path = self.folder.join(format!("{name}.{}.png", self.look));
        std::fs::write(&path, picture).expect("a picture is written");
        self.taken += 1;
    }

    /// Tells how many pictures it took.
    pub(crate) async fn close(mut self) -> usize {
        // Of pages that are errors by intention.
        self.person.expects_complaint("the server responded with a status of 4");
        self.person.leaves().await;
        self.taken
    }
}
