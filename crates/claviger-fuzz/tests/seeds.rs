//! Every target takes every seed, so that no target rots between the runs that look for new inputs.

use std::fs;
use std::path::{Path, PathBuf};

use claviger_fuzz::{TARGETS, Target};

fn seeds(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name)
}

/// The target takes each of its seeds, each also cut and each with a bit turned over.
fn takes_its_seeds(name: &str, target: Target) {
    let mut taken = 0;
    for entry in fs::read_dir(seeds(name)).unwrap() {
        let seed = fs::read(entry.unwrap().path()).unwrap();
        target(&seed);
        target(&seed[..seed.len() / 2]);
        let mut turned = seed;
        if let Some(byte) = turned.last_mut() {
            *byte ^= 1;
        }
        target(&turned);
        taken += 1;
    }
    assert!(taken > 0, "no seeds for {name}");
    target(b"");
}

fn target(name: &str) -> Target {
    TARGETS.into_iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn bodies_take_their_seeds() {
    takes_its_seeds("bodies", target("bodies"));
}

#[test]
fn encodings_take_their_seeds() {
    takes_its_seeds("encoding", target("encoding"));
}

#[test]
fn paths_take_their_seeds() {
    takes_its_seeds("path", target("path"));
}

#[test]
fn sealed_bytes_take_their_seeds() {
    takes_its_seeds("sealed", target("sealed"));
}

#[test]
fn tokens_take_their_seeds() {
    takes_its_seeds("token", target("token"));
}

#[test]
fn verdicts_take_their_seeds() {
    takes_its_seeds("verdict", target("verdict"));
}

#[test]
fn waits_take_their_seeds() {
    takes_its_seeds("waits", target("waits"));
}

#[test]
fn every_target_has_seeds_and_a_program() {
    for (name, _) in TARGETS {
        assert!(seeds(name).is_dir(), "{name} has no seeds");
        assert!(seeds("../fuzz_targets").join(format!("{name}.rs")).is_file(), "{name} has no program");
    }
}
