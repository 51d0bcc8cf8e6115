//! Keys that come from a file with a JSON object a line.

use claviger_testkit::{Deployment, random_secret};
use serde_json::{Value, json};

use crate::commands::{deployment, done, json as shown, run_fed};

/// Imports lines from standard input; answers the exit code, the report, and what was told beside it.
fn import(deployment: &Deployment, lines: &str, more: &[&str]) -> (Option<i32>, Value, String) {
    let ran = run_fed(deployment, &[&["import", "jsonl", "-", "--json"], more].concat(), lines.as_bytes());
    let report = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
    (ran.code, report, ran.stderr)
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

fn names(deployment: &Deployment, owner: &[&str]) -> Vec<(Value, Value)> {
    let list = shown(deployment, &[&["key", "list"], owner].concat());
    let keys = list["keys"].as_array().unwrap();
    keys.iter().map(|key| (key["name"].clone(), key["createdBy"].clone())).collect()
}

#[test]
fn keys_of_every_owner_are_taken_in_and_owners_made() {
    let deployment = deployment();
    let lines = text(&[
        json!({"workspaceId": "acme", "providerId": "openai", "apiKey": random_secret(), "name": " One ", "createdBy": "u1"}),
        json!({"organizationId": "holding", "providerId": "openai", "apiKey": random_secret()}),
        json!({"platform": true, "providerId": "exa", "apiKey": random_secret(), "name": null}),
        json!({"workspaceId": "acme", "providerId": "openai", "apiKey": random_secret(), "name": "Two"}),
    ]);
    let (code, dry, _) = import(&deployment, &lines, &["--dry-run"]);
    assert_eq!((code, &dry["counts"]["taken"]), (Some(0), &json!(4)));
    assert_eq!(done(&deployment, &["workspace", "list"]), "");
    let (code, report, _) = import(&deployment, &lines, &[]);
    assert_eq!((code, &report["counts"]), (Some(0), &dry["counts"]));
    assert_eq!((&report["made"], &report["made"]["workspaces"]), (&dry["made"], &json!(1)));
    let acme = names(&deployment, &["--workspace", "acme"]);
    assert_eq!(acme, [(json!("One"), json!("u1")), (json!("Two"), Value::Null)]);
    assert_eq!(names(&deployment, &["--organization", "holding"]).len(), 1);
    assert_eq!(names(&deployment, &["--platform"]).len(), 1);

    std::fs::write(deployment.folder().join("keys.jsonl"), lines).unwrap();
    let again = deployment.run(&["import", "jsonl", "keys.jsonl"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "took 0 keys; 4 are there already, 0 left behind\n"));
}

#[test]
fn lines_that_cannot_be_taken_are_told_by_number_without_what_they_hold() {
    let deployment = deployment();
    let [hush, first, last] = [(); 3].map(|()| random_secret());
    let key = |more: Value| {
        let mut line = json!({"workspaceId": "acme", "providerId": "exa", "apiKey": hush});
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        line.to_string()
    };
    let long = key(json!({"name": "x".repeat(70_000)}));
    let lines = [
        key(json!({"apiKey": first})),
        format!("{{\"apiKey\":\"{hush}\""),
        String::new(),
        key(json!({"secret": hush})),
        key(json!({"platform": true})),
        long,
        key(json!({"apiKey": format!("two {hush}")})),
        key(json!({"providerId": "nobody"})),
        key(json!({"apiKey": first})),
        // The last line has no end.
        key(json!({"apiKey": last})),
    ];
    let lines = lines.join("\n");
    for more in [&["--dry-run"][..], &[]] {
        let (code, report, stderr) = import(&deployment, &lines, more);
        assert_eq!(code, Some(1), "{stderr}");
        let counts = ["taken", "alreadyThere", "unknownProvider", "refused"].map(|name| &report["counts"][name]);
        assert_eq!(counts, [&json!(2), &json!(1), &json!(1), &json!(5)], "{stderr}");
        let left = report["leftBehind"].as_array().unwrap();
        let left: Vec<_> = left.iter().map(|left| left["at"].as_str().unwrap()).collect();
        assert_eq!(left, ["line 2", "line 4", "line 5", "line 6", "line 7", "line 8"]);
        for secret in [&hush, &first, &last] {
            assert!(
                !stderr.contains(secret.as_str()) && !report.to_string().contains(secret.as_str()),
                "a secret is told"
            );
        }
    }
    assert_eq!(names(&deployment, &["--workspace", "acme"]).len(), 2);
}

#[test]
fn an_eleventh_key_of_a_file_is_over_the_cap() {
    let deployment = deployment();
    let lines: Vec<_> =
        (0..11).map(|_| json!({"workspaceId": "acme", "providerId": "exa", "apiKey": random_secret()})).collect();
    for more in [&["--dry-run"][..], &[]] {
        let (code, report, _) = import(&deployment, &text(&lines), more);
        let counts = (&report["counts"]["taken"], &report["counts"]["overCap"]);
        assert_eq!((code, counts), (Some(1), (&json!(10), &json!(1))));
        assert_eq!(report["leftBehind"][0]["at"], "line 11");
    }
    let missing = deployment.run(&["import", "jsonl", "missing.jsonl"]);
    assert_eq!((missing.code, missing.stderr.contains("missing.jsonl")), (Some(1), true), "{}", missing.stderr);
}
