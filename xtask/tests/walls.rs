//! Walls that cargo-deny cannot hold, since it does not tell a dev-dependency from an ordinary one.

use std::process::Command;

use serde_json::Value;

/// What only tests may have.
const FOR_TESTS_ONLY: [&str; 9] = [
    "claviger-fuzz",
    "claviger-test-browser",
    "claviger-test-services",
    "claviger-testkit",
    "criterion",
    "insta",
    "loom",
    "proptest",
    "thirtyfour",
];
/// Crates that are tests or tools through and through.
const TESTS_AND_TOOLS: [&str; 6] =
    ["claviger-fuzz", "claviger-test-browser", "claviger-test-services", "claviger-testkit", "claviger-tests", "xtask"];

/// Crates that deny.toml lets past a wall for the sake of their tests.
const IN_TESTS_ONLY: [(&str, &str); 3] =
    [("claviger-api", "claviger-seal"), ("claviger-api", "claviger-store-sqlite"), ("claviger-portal", "tokio")];

/// (crate, its dependency), for every ordinary or build dependency of ours.
fn dependencies() -> Vec<(String, String)> {
    let cargo =
        Command::new("cargo").args(["metadata", "--offline", "--no-deps", "--format-version=1"]).output().unwrap();
    let metadata: Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut edges = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["kind"] != "dev" {
                edges.push((text(&package["name"]), text(&dependency["name"])));
            }
        }
    }
    edges
}

#[test]
fn what_is_for_tests_only_is_a_dev_dependency_everywhere() {
    let edges = dependencies();
    assert!(edges.iter().any(|(from, _)| from == "claviger"), "no dependencies found");
    for (from, to) in edges {
        let belongs = TESTS_AND_TOOLS.contains(&from.as_str()) || !FOR_TESTS_ONLY.contains(&to.as_str());
        assert!(belongs, "{to} is an ordinary dependency of {from}");
    }
}

#[test]
fn what_crosses_a_wall_for_tests_crosses_it_for_tests_only() {
    let edges = dependencies();
    for (from, to) in IN_TESTS_ONLY {
        let crossed = edges.iter().any(|edge| edge.0 == from && edge.1 == to);
        assert!(!crossed, "{to} is more than a dev-dependency of {from}");
    }
}
