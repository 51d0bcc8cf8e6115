//! Counts of tests, read from the closing lines of test runners.

use std::fmt;
use std::ops::AddAssign;

/// How many tests ran, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Ignored, skipped, or expected to fail.
    pub(crate) skipped: u64,
}

impl Tally {
    /// Reads `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
    pub(crate) fn of_cargo(line: &str) -> Option<Self> {
        line.strip_prefix("test result: ").map(Self::counted)
    }

    /// Reads `5 passed, 1 skipped in 0.12s`, with or without `=====` around it.
    pub(crate) fn of_pytest(line: &str) -> Option<Self> {
        let line = line.trim_matches(['=', ' ']);
        let (counts, time) = line.rsplit_once(" in ")?;
        let seconds = time.split_whitespace().next()?.strip_suffix('s')?;
        seconds.parse::<f64>().ok()?;
        let number = counts.split_whitespace().next()?;
        number.parse::<u64>().ok().map(|_| Self::counted(counts))
    }

    fn counted(text: &str) -> Self {
        let mut tally = Self::default();
        let words: Vec<&str> = text.split_whitespace().collect();
        for pair in words.windows(2) {
            let &[number, what] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what.trim_end_matches([',', ';']) {
                "passed" => tally.passed += number,
                "failed" | "error" | "errors" | "xpassed" => tally.failed += number,
                "ignored" | "skipped" | "xfailed" => tally.skipped += number,
                _ => {}
            }
        }
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally { passed, failed, skipped }
    }

    #[test]
    fn the_closing_line_of_cargo_test_is_read() {
        let line = "test result: FAILED. 5 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        assert_eq!(Tally::of_cargo(line), Some(tally(5, 1, 2)));
        assert_eq!(Tally::of_cargo("test a_key_rests ... ok"), None);
    }

    #[test]
    fn the_closing_line_of_pytest_is_read() {
        let lines = [
            ("5 passed in 0.12s", tally(5, 0, 0)),
            ("1 failed, 4 passed, 2 warnings, 1 error in 1.02s", tally(4, 2, 0)),
            ("===== 3 passed, 1 skipped, 1 xfailed in 75.30s (0:01:15) =====", tally(3, 0, 2)),
        ];
        for (line, expected) in lines {
            assert_eq!(Tally::of_pytest(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn other_lines_of_pytest_are_not_counted() {
        for line in ["no tests ran in 0.01s", "......  [100%]", "2 keys passed in a row", ""] {
            assert_eq!(Tally::of_pytest(line), None, "{line}");
        }
    }
}
