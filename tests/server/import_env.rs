//! Keys that come from environment variables.

use claviger_testkit::{Deployment, Ran, random_secret};
use serde_json::{Value, json};

use crate::commands::{deployment, done, json as shown};

const ACME: [&str; 2] = ["--workspace", "acme"];

fn with_acme() -> Deployment {
    let deployment = deployment();
    done(&deployment, &["workspace", "create", "acme"]);
    deployment
}

fn import(deployment: &Deployment, more: &[&str]) -> Ran {
    deployment.run(&[&["import", "env"], more].concat())
}

/// Provider, name and mask of an owner's keys, as they are listed.
fn listed(deployment: &Deployment, owner: &[&str]) -> Vec<[Value; 3]> {
    let list = shown(deployment, &[&["key", "list"], owner].concat());
    let keys = list["keys"].as_array().unwrap();
    keys.iter().map(|key| ["providerId", "name", "maskedKey"].map(|field| key[field].clone())).collect()
}

fn key(provider: &str, name: &str, secret: &str) -> [Value; 3] {
    let mask = format!("{}...{}", &secret[..6], &secret[secret.len() - 4..]);
    [json!(provider), json!(name), json!(mask)]
}

#[test]
fn numbered_variables_are_taken_by_their_numbers_and_under_their_names() {
    let deployment = with_acme();
    let [bare, one, two, ten, gemini, ollama] = [(); 6].map(|()| random_secret());
    let deployment = deployment
        .with("OPENAI_API_KEY_10", &ten)
        .with("OPENAI_API_KEY_2", &two)
        .with("OPENAI_API_KEY_1", &one)
        .with("OPENAI_API_KEY", &bare)
        .with("OPENAI_API_KEY_3", "")
        .with("OPENAI_API_KEY_COUNT", "4")
        .with("GEMINI_API_KEY", &gemini)
        .with("OLLAMA_CLOUD_API_KEY_1", &ollama)
        .with("STRIPE_API_KEY", &random_secret());
    for owner in [&ACME[..], &["--platform"]] {
        let expected = [
            key("google", "GEMINI_API_KEY", &gemini),
            key("ollama-cloud", "OLLAMA_CLOUD_API_KEY_1", &ollama),
            key("openai", "OPENAI_API_KEY", &bare),
            key("openai", "OPENAI_API_KEY_1", &one),
            key("openai", "OPENAI_API_KEY_2", &two),
            key("openai", "OPENAI_API_KEY_10", &ten),
        ];
        let dry = import(&deployment, &[owner, &["--dry-run"]].concat());
        assert_eq!(
            (dry.code, dry.stdout.as_str()),
            (Some(0), "would take 6 keys; 0 are there already, 0 left behind\n")
        );
        assert_eq!(listed(&deployment, owner), Vec::<[Value; 3]>::new());
        let ran = import(&deployment, owner);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "took 6 keys; 0 are there already, 0 left behind\n"));
        assert_eq!(listed(&deployment, owner), expected);
        let again = import(&deployment, owner);
        assert_eq!((again.code, again.stdout.as_str()), (Some(0), "took 0 keys; 6 are there already, 0 left behind\n"));
        for secret in [&bare, &one, &two, &ten, &gemini, &ollama] {
            assert!(!ran.stderr.contains(secret.as_str()), "a secret is told");
        }
    }
}

#[test]
fn a_file_of_variables_stands_in_the_place_of_the_environment() {
    let deployment = with_acme().with("OPENAI_API_KEY", &random_secret());
    let [one, two] = [(); 2].map(|()| random_secret());
    let broken = random_secret();
    let text = format!(
        "# keys\nexport EXA_API_KEY_1=\"{one}\"\nEXA_API_KEY_2='{two}'\nDATABASE_URL=x\nMISSPELT_API_KEY=x\n\
         JINA_API_KEY=\"two {broken}\"\n"
    );
    std::fs::write(deployment.folder().join("keys.env"), text).unwrap();
    let ran = import(&deployment, &[&ACME[..], &["--env-file", "keys.env", "--json"]].concat());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["counts"]["taken"], &report["counts"]["refused"]), (&json!(2), &json!(1)));
    assert_eq!(report["leftBehind"][0]["at"], "JINA_API_KEY");
    assert!(ran.stderr.contains("MISSPELT_API_KEY is not the name"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(&broken) && !ran.stdout.contains(&broken), "a secret is told");
    let expected = [key("exa", "EXA_API_KEY_1", &one), key("exa", "EXA_API_KEY_2", &two)];
    assert_eq!(listed(&deployment, &ACME), expected);
}

#[test]
fn keys_that_the_settings_give_are_there_already() {
    let secret = random_secret();
    let deployment = deployment().with("CLAVIGER_PLATFORM__EXA_API_KEY_1", &secret).with("EXA_API_KEY", &secret);
    for more in [&["--platform", "--dry-run"][..], &["--platform"]] {
        let ran = import(&deployment, more);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.ends_with("0 keys; 1 are there already, 0 left behind\n"), "{}", ran.stdout);
    }
}

#[test]
fn an_import_from_the_environment_needs_an_owner_that_is_there_and_a_key() {
    let deployment = with_acme();
    std::fs::write(deployment.folder().join("broken.env"), "EXA_API_KEY=x\nhush\n").unwrap();
    let with_key = deployment.clone().with("EXA_API_KEY", &random_secret());
    let rows: [(&Deployment, &[&str], i32, &str); 6] = [
        (&with_key, &[], 2, "--platform"),
        (&with_key, &["--platform", "--workspace", "acme"], 2, "--workspace"),
        (&with_key, &["--workspace", "nobody"], 1, "workspace nobody does not exist"),
        (&deployment, &ACME, 1, "OPENAI_API_KEY_1"),
        (&deployment, &["--platform", "--env-file", "missing.env"], 1, "--env-file missing.env"),
        (&deployment, &["--platform", "--env-file", "broken.env"], 1, "line 2 is not NAME=VALUE"),
    ];
    for (deployment, arguments, code, part) in rows {
        let ran = import(deployment, arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{arguments:?}");
        assert!(ran.stderr.contains(part) && !ran.stderr.contains("hush"), "{arguments:?}: {}", ran.stderr);
    }
}
