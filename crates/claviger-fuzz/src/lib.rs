//! What must hold for any input of the parsers that strangers reach: one function for each, which takes any bytes and
//! panics where something does not hold.
//!
//! `fuzz/` hands them to libFuzzer, which looks for such bytes; the tests here hand them the seeds of `fuzz/seeds`, so
//! that the functions never rot.
#![expect(clippy::expect_used, reason = "a panic with its message is the finding")]

mod bodies;
mod encoding;
mod path;
mod sealed;
mod token;
mod verdict;
mod waits;

pub use bodies::bodies;
pub use encoding::encoding;
pub use path::path;
pub use sealed::sealed;
pub use token::token;
pub use verdict::verdict;
pub use waits::waits;

/// What takes an input.
pub type Target = fn(&[u8]);

/// Every target with its name, which its folder of seeds and its program have too.
pub const TARGETS: [(&str, Target); 7] = [
    ("bodies", bodies),
    ("encoding", encoding),
    ("path", path),
    ("sealed", sealed),
    ("token", token),
    ("verdict", verdict),
    ("waits", waits),
];
