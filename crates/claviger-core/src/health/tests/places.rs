//! What stands in an answer, and the tests on it.

use super::super::body::Exhibit;
use super::*;
use crate::catalogue::{Place, Test};

/// Whether an answer with this body and the header `x-a: Value 7` passes the test at the place.
fn passes(body: &str, at: &str, test: &Test) -> bool {
    let headers = headers(&[("x-a", "Value 7")]);
    let answer = Answer { status: 400, headers: &headers, body: body.as_bytes() };
    Exhibit::new(&answer).passes(&at.parse::<Place>().unwrap(), test)
}

fn eq(text: &str) -> Test {
    Test::Eq(text.to_owned())
}

fn contains(text: &str) -> Test {
    Test::Contains(text.to_owned())
}

#[test]
fn strings_numbers_and_truths_compare_by_their_text() {
    let rows = [
        (r#"{"a":"1300"}"#, eq("1300"), true),
        (r#"{"a":1300}"#, eq("1300"), true),
        (r#"{"a":1300.5}"#, eq("1300.5"), true),
        (r#"{"a":true}"#, eq("true"), true),
        (r#"{"a":"True"}"#, eq("true"), false),
        (r#"{"a":"x"}"#, Test::In(vec!["y".to_owned(), "x".to_owned()]), true),
        (r#"{"a":"X"}"#, Test::In(vec!["y".to_owned(), "x".to_owned()]), false),
        (r#"{"a":"No CREDITS left"}"#, contains("credits"), true),
        (r#"{"a":"ÜBER"}"#, contains("über"), true),
        (r#"{"a":["credits"]}"#, contains("credits"), false),
        (r#"{"a":{"credits":1}}"#, contains("credits"), false),
    ];
    for (body, test, passed) in rows {
        assert_eq!(passes(body, "body:a", &test), passed, "{body} {test:?}");
    }
}

#[test]
fn at_least_is_for_numbers_and_text_that_reads_as_one() {
    for (value, passed) in [
        ("0", true),
        ("\"0\"", true),
        ("\" 12 \"", true),
        ("0.5", true),
        ("99999999999999999999999", true),
        ("-1", false),
        ("\"-1\"", false),
        ("-0.5", false),
        ("\"inf\"", false),
        ("\"nan\"", false),
        ("\"\"", false),
        ("true", false),
        ("null", false),
        ("[1]", false),
    ] {
        assert_eq!(passes(&format!(r#"{{"a":{value}}}"#), "body:a", &Test::Min(0)), passed, "{value}");
    }
}

#[test]
fn what_is_absent_or_null_passes_only_the_test_for_absence() {
    for body in ["{}", r#"{"a":null}"#, r#"{"b":{"a":1}}"#, "[]", "7", "not JSON", ""] {
        assert!(passes(body, "body:a", &Test::Exists(false)), "{body}");
        for test in [Test::Exists(true), eq(""), contains("a"), Test::Min(-9), Test::In(vec![String::new()])] {
            assert!(!passes(body, "body:a", &test), "{body} {test:?}");
        }
    }
    for body in [r#"{"a":0}"#, r#"{"a":""}"#, r#"{"a":[]}"#, r#"{"a":{}}"#, r#"{"a":false}"#] {
        assert!(passes(body, "body:a", &Test::Exists(true)) && !passes(body, "body:a", &Test::Exists(false)), "{body}");
    }
}

#[test]
fn one_element_that_passes_is_enough() {
    let body = r#"{"e":[{"r":"A"},{"s":"B"},{"r":null},7,{"r":"C"}]}"#;
    assert!(passes(body, "body:e[].r", &eq("C")));
    assert!(!passes(body, "body:e[].r", &eq("B")));
    assert!(passes(body, "body:e[].x", &Test::Exists(false)));
    assert!(!passes(body, "body:e.r", &eq("C")), "an array is not stepped through unasked");
    assert!(passes(r#"["a","b"]"#, "body", &Test::Exists(true)));
    assert!(passes(r#"[{"e":1},{"e":2}]"#, "body:e", &eq("2")), "but for the body itself");
}

#[test]
fn the_whole_body_is_a_place_as_json_and_as_text() {
    assert!(passes("71", "body", &Test::Min(0)));
    assert!(!passes("a71", "body", &Test::Min(0)));
    assert!(passes("Plain UNAUTHORIZED", "text", &contains("unauthorized")));
    assert!(passes("unauthorized", "text", &eq("unauthorized")));
    assert!(passes("", "text", &Test::Exists(false)) && !passes("", "text", &eq("")));
    assert!(passes(" 5 ", "text", &Test::Min(5)));
}

#[test]
fn headers_are_found_whatever_their_case_and_compare_like_values() {
    assert!(passes("", "header:X-A", &eq("Value 7")));
    assert!(!passes("", "header:x-a", &eq("value 7")));
    assert!(passes("", "header:x-a", &contains("VALUE")));
    assert!(passes("", "header:x-b", &Test::Exists(false)) && !passes("", "header:x-b", &eq("")));
    assert!(!passes("", "status", &Test::Exists(true)), "the status is not a place for tests");
}

#[test]
fn bytes_that_are_no_text_hide_nothing_around_them() {
    let none = Written::default();
    let answer = Answer { status: 400, headers: &none, body: b"\xFF\xFEIncorrect API key\xC3" };
    assert_eq!(judge(&provider("xai"), &answer, now()).class, Class::KeyInvalid);
}
