//! Errors that come as the first event of a stream.

use super::*;

fn judged(id: &str, event: &str) -> Option<(Class, u16)> {
    let verdict = judge_event(&provider(id), &Written::default(), event.as_bytes(), now())?;
    Some((verdict.class, verdict.status))
}

const ERRORS: [(&str, &str, Class, u16); 19] = [
    (
        "anthropic",
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
        Class::Overloaded,
        529,
    ),
    (
        "anthropic",
        "data: {\"type\": \"error\", \"error\": {\"type\": \"rate_limit_error\"}}\n\n",
        Class::RateLimited,
        429,
    ),
    (
        "anthropic",
        "event: error\r\ndata: {\"error\":{\"type\":\"authentication_error\"}}\r\n\r\n",
        Class::KeyInvalid,
        401,
    ),
    ("anthropic", "event:error\ndata:{\"error\":{\"type\":\"permission_error\"}}\n\n", Class::AccountPermission, 403),
    ("anthropic", "event: error\ndata: {\"error\":{\"type\":\"billing_error\"}}\n\n", Class::NoCredit, 402),
    (
        "anthropic",
        "data: {\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Your credit balance is too low\"}}\n\n",
        Class::NoCredit,
        400,
    ),
    ("anthropic", "data: {\"error\":{\"type\":\"invalid_request_error\"}}\n\n", Class::RequestError, 400),
    ("anthropic", "data: {\"error\":{\"type\":\"api_error\"}}\n\n", Class::Overloaded, 500),
    (
        "openai",
        "data: {\"error\":{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\"}}\n\n",
        Class::NoCredit,
        429,
    ),
    (
        "openai",
        "data: {\"error\":{\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}\n\n",
        Class::RateLimited,
        429,
    ),
    (
        "openai",
        "data: {\"error\":{\"message\":\"?\",\"type\":\"server_error\",\"code\":null}}\n\n",
        Class::Overloaded,
        500,
    ),
    (
        "openai",
        "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"\",\"param\":null}\n\n",
        Class::RateLimited,
        429,
    ),
    ("zai", "data: {\"error\":{\"code\":\"1113\",\"message\":\"Insufficient balance\"}}\n\n", Class::NoCredit, 429),
    ("google", "data: {\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\"}}\n\n", Class::RateLimited, 429),
    ("google", "data: {\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\"}}\n\n", Class::Overloaded, 503),
    ("custom", "data: {\"error\":{\"message\":\"no\",\"code\":\"402\"}}\n\n", Class::NoCredit, 402),
    ("custom", "data: {\"object\":\"error\",\"message\":\"no such model\",\"code\":404}\n\n", Class::RequestError, 404),
    ("custom", ": hello\n\nid: 1\nretry: 5\ndata: {\ndata: \ndata: \"error\": \"broke\"}\n\n", Class::Overloaded, 500),
    ("custom", "\u{feff}event: error\ndata: what is this\n\n", Class::Overloaded, 500),
];

const GOOD: [&str; 9] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\"}}\n\n",
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{\"content\":\"error\"}}]}\n\n",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"{\\\"error\\\":{}}\"}]}}]}\n\n",
    "event: response.created\ndata: {\"type\":\"response.created\"}\n\n",
    "data: {\"error\":null,\"choices\":[]}\n\n",
    "data: {\"object\":\"chat.completion.chunk\"}\n\n",
    "data: [DONE]\n\n",
    "event: errors\ndata: {}\n\n",
    "<html>\n",
];

#[test]
fn each_error_event_is_judged_like_the_answer_that_it_stands_for() {
    for (id, event, class, status) in ERRORS {
        assert_eq!(judged(id, event), Some((class, status)), "{id}: {event}");
    }
}

#[test]
fn a_good_event_is_no_error_whatever_it_speaks_of() {
    for event in GOOD {
        assert_eq!(judged("openai", event), None, "{event}");
    }
    let second = "data: {\"id\":\"1\"}\n\nevent: error\ndata: {\"error\":{\"code\":429}}\n\n";
    assert_eq!(judged("openai", second), None, "only the first event counts");
}

#[test]
fn every_error_event_may_be_one_from_its_first_byte_on() {
    for (_, event, ..) in ERRORS {
        for end in 0..=event.len() {
            assert!(may_begin_error_event(&event.as_bytes()[..end]), "{:?}", &event.as_bytes()[..end]);
        }
    }
}

#[test]
fn a_good_stream_is_let_go_within_its_first_bytes() {
    let held = |event: &str| (0..=event.len()).find(|end| !may_begin_error_event(&event.as_bytes()[..*end]));
    let lengths: Vec<_> = GOOD.iter().map(|event| held(event).unwrap()).collect();
    assert_eq!(lengths, [8, 9, 9, 8, 16, 18, 7, 13, 1]);
}

#[test]
fn a_stream_once_let_go_stays_so() {
    for event in GOOD {
        let judged: Vec<_> = (0..=event.len()).map(|end| may_begin_error_event(&event.as_bytes()[..end])).collect();
        assert!(judged.is_sorted_by(|before, after| before >= after), "{event}");
    }
}

#[test]
fn an_error_events_wait_is_read_like_any() {
    let event = br#"data: {"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"26s"}]}}"#;
    let verdict = judge_event(&provider("google"), &Written::default(), event, now()).unwrap();
    assert_eq!(verdict.wait, Some(Duration::from_secs(26)));
}
