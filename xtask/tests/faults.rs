//! docs/faults.md names tests that are there.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The file of this name as the document shortens it.
fn file(name: &str) -> PathBuf {
    let places = ["", "tests", "crates"].map(|folder| root().join(folder).join(name));
    places.into_iter().find(|path| path.is_file()).unwrap_or_else(|| panic!("there is no {name}"))
}

#[test]
fn every_row_of_the_document_names_files_and_tests_that_are_there() {
    let document = fs::read_to_string(root().join("docs/faults.md")).unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| fault |"));
    let mut tests = 0;
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        let [.., shown_by] = cells.as_slice() else { panic!("{row}") };
        let mut source = None;
        for name in shown_by.split('`').skip(1).step_by(2) {
            if name.contains('.') {
                source = Some((name, fs::read_to_string(file(name)).unwrap()));
                continue;
            }
            let (file, text) = source.as_ref().unwrap_or_else(|| panic!("{name} is in no file"));
            let function = name.strip_suffix('…').map_or_else(|| format!("fn {name}("), |begin| format!("fn {begin}"));
            assert!(text.contains(&function), "there is no {name} in {file}");
            tests += 1;
        }
        assert!(source.is_some(), "nothing shows this: {row}");
    }
    assert!(tests > 10, "the document is read wrongly");
}
