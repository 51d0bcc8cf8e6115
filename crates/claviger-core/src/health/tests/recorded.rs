//! Every provider's recorded answers against its rules.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::body::Exhibit;
use super::super::verdict::rule;
use super::*;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    status: u16,
    class: String,
    /// Milliseconds.
    wait: Option<u64>,
    #[serde(default)]
    headers: Written,
    #[serde(default)]
    body: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    answers: Vec<Recorded>,
}

static RECORDED: LazyLock<BTreeMap<String, Answers>> =
    LazyLock::new(|| toml::from_str(include_str!("../../../tests/data/answers.toml")).unwrap());

fn recorded() -> impl Iterator<Item = (&'static str, &'static [Recorded])> {
    RECORDED.iter().map(|(id, answers)| (id.as_str(), answers.answers.as_slice()))
}

fn as_answer(recorded: &Recorded) -> Answer<'_> {
    Answer { status: recorded.status, headers: &recorded.headers, body: recorded.body.as_bytes() }
}

#[test]
fn every_recorded_answer_is_taken_for_what_it_is() {
    for (id, answers) in recorded() {
        for one in answers {
            let Verdict { class, status, wait } = judge(&provider(id), &as_answer(one), now());
            let wait = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap());
            assert_eq!((class.as_str(), status, wait), (one.class.as_str(), one.status, one.wait), "{id}: {one:?}");
        }
    }
}

#[test]
fn every_provider_has_recorded_answers_and_every_rule_is_met_by_one() {
    for provider in CATALOGUE.iter() {
        let answers = &RECORDED.get(provider.id.as_str()).unwrap_or_else(|| panic!("{} has none", provider.id)).answers;
        let met = |one: &Recorded| {
            let found = rule(provider, &Exhibit::new(&as_answer(one)))?;
            provider.errors.iter().position(|rule| std::ptr::eq(rule, found))
        };
        let met: BTreeSet<_> = answers.iter().filter_map(met).collect();
        let missed: Vec<_> = (0..provider.errors.len()).filter(|index| !met.contains(index)).collect();
        assert_eq!(missed, Vec::<usize>::new(), "{}", provider.id);
    }
}

#[test]
fn every_class_has_its_name_and_only_three_are_about_the_key() {
    let names = Class::ALL.map(Class::as_str);
    let expected =
        ["ok", "request_error", "account_permission", "rate_limited", "no_credit", "key_invalid", "overloaded"];
    assert_eq!(names, expected);
    assert_eq!(Class::NoCredit.to_string(), "no_credit");
    let about: Vec<_> = Class::ALL.into_iter().filter(|class| class.is_about_the_key()).collect();
    assert_eq!(about, [Class::RateLimited, Class::NoCredit, Class::KeyInvalid]);
}

#[test]
fn an_answer_prints_without_its_body() {
    let none = Written::default();
    let answer = Answer { status: 400, headers: &none, body: b"what a caller wrote" };
    assert_eq!(format!("{answer:?}"), "Answer { status: 400, .. }");
}

#[test]
fn what_is_beyond_the_bound_of_a_body_is_not_looked_at() {
    let mut body = vec![b' '; MAX_BODY];
    body.extend_from_slice(b"Incorrect API key");
    let none = Written::default();
    let class = |body: &[u8]| judge(&provider("xai"), &Answer { status: 400, headers: &none, body }, now()).class;
    assert_eq!(class(&body), Class::RequestError);
    assert_eq!(class(&body[100..]), Class::KeyInvalid);
}

#[test]
fn a_body_nested_without_end_is_no_json_and_no_harm() {
    let body = vec![b'['; MAX_BODY];
    let none = Written::default();
    for provider in CATALOGUE.iter() {
        for status in [200, 400, 401, 403, 429] {
            let _ = judge(provider, &Answer { status, headers: &none, body: &body }, now());
        }
    }
}

#[test]
fn a_status_that_http_does_not_know_is_the_providers_trouble() {
    let none = Written::default();
    for status in [0, 99, 600, u16::MAX] {
        let answer = Answer { status, headers: &none, body: b"" };
        assert_eq!(judge(&provider("custom"), &answer, now()).class, Class::Overloaded, "{status}");
    }
}

/// Headers that remember what they were asked for.
#[derive(Default)]
struct Asked(RefCell<Vec<String>>);

impl Headers for Asked {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.borrow_mut().push(name.to_owned());
        Some("1")
    }
}

#[test]
fn a_good_answer_is_asked_for_nothing_but_what_is_left_of_each_limit() {
    for provider in CATALOGUE.iter() {
        let asked = Asked::default();
        let verdict = judge(provider, &Answer { status: 200, headers: &asked, body: b"" }, now());
        assert_eq!(verdict, Verdict { class: Class::Ok, status: 200, wait: None });
        let named: Vec<_> = provider.rate.limits().iter().map(|limit| limit.remaining.clone()).collect();
        assert_eq!(asked.0.into_inner(), named, "{}", provider.id);
    }
}

/// Every header that any rule or limit may look at.
fn names() -> Vec<String> {
    let of_rates = CATALOGUE.iter().flat_map(|provider| provider.rate.headers.clone());
    of_rates.chain(["retry-after".to_owned(), "retry-after-ms".to_owned()]).collect()
}

proptest! {
    #[test]
    fn no_answer_whatever_makes_it_panic(
        status in any::<u16>(),
        body in proptest::collection::vec(any::<u8>(), 0..300),
        value in "\\PC{0,40}|[0-9.hmsun:TZ+ -]{0,30}",
        millis in any::<i64>(),
    ) {
        let everywhere = Written(names().into_iter().map(|name| (name, value.clone())).collect());
        let now = Timestamp::from_millis(millis);
        for provider in CATALOGUE.iter() {
            for status in [status, 200, 401, 403, 429] {
                let answer = Answer { status, headers: &everywhere, body: &body };
                let verdict = judge(provider, &answer, now);
                prop_assert!(verdict.wait.is_none_or(|wait| !wait.is_zero() && wait <= MAX_WAIT));
                for probe in provider.probe.iter().chain(&provider.alternative_probe) {
                    let _ = judge_probe(provider, probe, &answer, now);
                }
                let _ = judge_event(provider, &everywhere, &body, now);
            }
            let _ = domain(provider, &everywhere);
        }
        let _ = may_begin_error_event(&body);
    }

    #[test]
    fn a_recorded_body_cut_or_altered_anywhere_makes_nothing_panic(cut in 0_usize..400, byte in any::<u8>()) {
        for (id, answers) in recorded() {
            for one in answers {
                let mut body = one.body.clone().into_bytes();
                body.truncate(cut);
                if let Some(last) = body.last_mut() {
                    *last = byte;
                }
                let _ = judge(&provider(id), &Answer { body: &body, ..as_answer(one) }, now());
            }
        }
    }
}
