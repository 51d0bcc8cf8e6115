//! The accounts that answers name.

use super::*;

fn named(id: &str, pairs: &[(&str, &str)]) -> Option<String> {
    domain(&provider(id), &headers(pairs))
}

#[test]
fn a_domain_is_what_the_catalogues_headers_say_with_a_stroke_between() {
    let both = [("OpenAI-Organization", "acme"), ("openai-project", "proj_1")];
    assert_eq!(named("openai", &both).as_deref(), Some("acme/proj_1"));
    assert_eq!(named("openai", &both[..1]).as_deref(), Some("acme"));
    assert_eq!(named("anthropic", &[("anthropic-organization-id", "org-1")]).as_deref(), Some("org-1"));
    assert_eq!(named("anthropic", &both), None);
    assert_eq!(named("custom", &both), None);
}

#[test]
fn what_people_should_not_be_shown_is_no_domain() {
    assert_eq!(named("openai", &[("openai-organization", "")]), None);
    assert_eq!(named("openai", &[("openai-organization", "a b")]), None);
    assert_eq!(named("openai", &[("openai-organization", &"a".repeat(500))]), None);
}

#[test]
fn the_same_domain_is_told_from_another_without_making_it() {
    let openai = provider("openai");
    let both = headers(&[("openai-organization", "acme"), ("openai-project", "proj_1")]);
    assert!(same_domain(&openai, &both, "acme/proj_1"));
    for other in ["acme/proj_12", "acme/proj_", "acme", "acmeproj_1", "acme/", ""] {
        assert!(!same_domain(&openai, &both, other), "{other}");
    }
    assert!(same_domain(&openai, &headers(&[]), "acme/proj_1"), "an answer that names none tells nothing new");
}

#[test]
fn an_answer_that_names_a_part_of_the_domain_tells_nothing_new() {
    let openai = provider("openai");
    let organization = headers(&[("openai-organization", "acme")]);
    let project = headers(&[("openai-project", "proj_1")]);
    for part in [&organization, &project] {
        assert!(same_domain(&openai, part, "acme/proj_1"));
    }
    for other in ["acm", "acmes/proj_1", "globex/proj_1", "globex", ""] {
        assert!(!same_domain(&openai, &organization, other), "{other}");
    }
    assert!(!same_domain(&openai, &project, "acme/proj_12"));
}
