//! How long providers say to wait, in every form.

use super::*;

/// What a custom provider's 429 with this `Retry-After` asks for, in milliseconds.
fn retry_after(value: &str) -> Option<u128> {
    wait_of("custom", 429, &[("Retry-After", value)], "")
}

fn wait_of(id: &str, status: u16, pairs: &[(&str, &str)], body: &str) -> Option<u128> {
    let answer = Answer { status, headers: &headers(pairs), body: body.as_bytes() };
    judge(&provider(id), &answer, now()).wait.map(|wait| wait.as_millis())
}

#[test]
fn retry_after_is_read_in_every_form_that_http_allows() {
    let rows = [
        ("1", Some(1_000)),
        (" 20 ", Some(20_000)),
        ("0.25", Some(250)),
        ("1.0004", Some(1_001)),
        ("0.0000001", Some(1)),
        ("Sat, 31 Jan 2026 12:00:30 GMT", Some(30_000)),
        ("Saturday, 31-Jan-26 12:01:00 GMT", Some(60_000)),
        ("Sat Jan 31 12:02:00 2026", Some(120_000)),
        ("86400", Some(86_400_000)),
    ];
    for (value, wait) in rows {
        assert_eq!(retry_after(value), wait, "{value}");
    }
}

#[test]
fn what_is_past_or_no_time_at_all_is_no_hint() {
    let rows = [
        "",
        " ",
        "0",
        "0.0",
        "-1",
        "+1",
        "1e3",
        "inf",
        "NaN",
        "1s",
        "soon",
        "1,5",
        "1.2.3",
        ".",
        "Sat, 31 Jan 2026",
        "Sat, 31 Jan 2026 12:00:00 GMT",
        "Sat, 31 Jan 2026 11:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "١",
    ];
    for value in rows {
        assert_eq!(retry_after(value), None, "{value}");
    }
}

#[test]
fn an_absurd_wait_is_shortened_to_a_day() {
    let endless = "9".repeat(400);
    for value in ["86401", "99999999999", endless.as_str(), "Sat, 31 Jan 2099 12:00:00 GMT"] {
        assert_eq!(retry_after(value), Some(MAX_WAIT.as_millis()), "{value}");
    }
}

#[test]
fn milliseconds_go_before_seconds_and_seconds_stand_in_where_they_cannot_be_read() {
    let wait = |millis, seconds| wait_of("custom", 429, &[("retry-after-ms", millis), ("retry-after", seconds)], "");
    assert_eq!(wait("1500", "60"), Some(1_500));
    assert_eq!(wait("12.5", "60"), Some(13));
    assert_eq!(wait("x", "60"), Some(60_000));
    assert_eq!(wait("0", "60"), Some(60_000));
    assert_eq!(wait("-5", "0"), None);
}

#[test]
fn only_classes_that_may_pass_have_a_wait() {
    let rows = [(400, None), (401, None), (402, Some(5_000)), (403, None), (429, Some(5_000)), (503, Some(5_000))];
    for (status, wait) in rows {
        assert_eq!(wait_of("custom", status, &[("retry-after", "5")], ""), wait, "{status}");
    }
}

#[test]
fn resets_are_read_in_each_form_of_the_catalogue() {
    const OPENAI: [&str; 2] = ["x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
    const ANTHROPIC: [&str; 2] = ["anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"];
    const TOGETHER: [&str; 2] = ["X-RateLimit-Remaining", "X-RateLimit-Reset"];
    const DATA_LABS: [&str; 2] = ["x-ratelimit-remaining", "x-ratelimit-reset"];
    let rows = [
        ("openai", OPENAI, "6m0s", Some(360_000)),
        ("openai", OPENAI, "1s", Some(1_000)),
        ("openai", OPENAI, "20ms", Some(20)),
        ("openai", OPENAI, "1h1m1.5s", Some(3_661_500)),
        ("openai", OPENAI, "7m12s", Some(432_000)),
        ("openai", OPENAI, "500µs", Some(1)),
        ("openai", OPENAI, "99h", Some(86_400_000)),
        ("openai", OPENAI, "0s", None),
        ("openai", OPENAI, "", None),
        ("openai", OPENAI, "12", None),
        ("openai", OPENAI, "1s1m", None),
        ("openai", OPENAI, "-1s", None),
        ("openai", OPENAI, "s", None),
        ("openai", OPENAI, "1d", None),
        ("anthropic", ANTHROPIC, "2026-01-31T12:00:10Z", Some(10_000)),
        ("anthropic", ANTHROPIC, "2026-01-31T13:00:10+01:00", Some(10_000)),
        ("anthropic", ANTHROPIC, "2026-01-31T11:00:00Z", None),
        ("anthropic", ANTHROPIC, "2027-01-31T11:00:00Z", Some(86_400_000)),
        ("anthropic", ANTHROPIC, "10", None),
        ("together", TOGETHER, "3", Some(3_000)),
        ("together", TOGETHER, "0.5", Some(500)),
        ("together", TOGETHER, "3s", None),
        ("peopledatalabs", DATA_LABS, "2026-01-31 12:00:15", Some(15_000)),
        ("peopledatalabs", DATA_LABS, "2026-01-31T12:00:15", Some(15_000)),
        ("peopledatalabs", DATA_LABS, "2026-01-31 12:00:15 UTC", Some(15_000)),
        ("peopledatalabs", DATA_LABS, "2026-01-31T12:00:15Z", Some(15_000)),
        ("peopledatalabs", DATA_LABS, "31.01.2026", None),
    ];
    for (id, [remaining, reset], value, wait) in rows {
        assert_eq!(wait_of(id, 429, &[(remaining, "0"), (reset, value)], ""), wait, "{id}: {value}");
    }
}

#[test]
fn a_limit_counts_as_spent_at_zero_and_below_and_only_if_it_is_a_number() {
    for (left, spent) in
        [("0", true), (" 0 ", true), ("0.0", true), ("-3", true), ("1", false), ("0x", false), ("", false)]
    {
        let pairs = [("x-ratelimit-remaining-requests", left), ("x-ratelimit-reset-requests", "2s")];
        assert_eq!(wait_of("openai", 200, &pairs, "").is_some(), spent, "{left}");
    }
}

#[test]
fn of_several_spent_limits_the_last_to_begin_anew_counts() {
    let pairs = [
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "2s"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "9s"),
    ];
    assert_eq!(wait_of("openai", 200, &pairs, ""), Some(9_000));
    assert_eq!(wait_of("openai", 429, &pairs, ""), Some(9_000));
}

#[test]
fn a_429_with_something_left_of_every_limit_waits_for_the_first_but_at_least_a_second() {
    let wait = |first, second| {
        let pairs = [
            ("x-ratelimit-remaining-requests", "3"),
            ("x-ratelimit-reset-requests", first),
            ("x-ratelimit-remaining-tokens", "40"),
            ("x-ratelimit-reset-tokens", second),
        ];
        wait_of("openai", 429, &pairs, "")
    };
    assert_eq!(wait("6m0s", "9s"), Some(9_000));
    assert_eq!(wait("6ms", "9s"), Some(1_000));
}

#[test]
fn what_a_good_answer_announces_is_believed_for_ten_minutes() {
    let pairs = |reset| [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", reset)];
    for (reset, good, limited) in [("9m59s", 599_000, 599_000), ("23h59m0s", 600_000, 86_340_000)] {
        assert_eq!(wait_of("openai", 200, &pairs(reset), ""), Some(good), "{reset}");
        assert_eq!(wait_of("openai", 429, &pairs(reset), ""), Some(limited), "{reset}");
    }
}

#[test]
fn a_spent_limit_whose_end_is_not_told_gives_no_wait() {
    assert_eq!(wait_of("fireworks", 200, &[("x-ratelimit-remaining-requests", "0")], ""), None);
    assert_eq!(wait_of("openai", 200, &[("x-ratelimit-remaining-requests", "0")], ""), None);
    let pairs = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "30")];
    assert_eq!(wait_of("kimi", 200, &pairs, ""), None, "the form is not known");
}

#[test]
fn a_wait_in_the_body_is_read_at_its_place_or_in_words() {
    let delay =
        |text: &str| format!(r#"{{"error":{{"status":"RESOURCE_EXHAUSTED","details":[{{"retryDelay":{text}}}]}}}}"#);
    let rows =
        [("\"26s\"", Some(26_000)), ("\"1.203608125s\"", Some(1_204)), ("26", None), ("null", None), ("{}", None)];
    for (text, wait) in rows {
        assert_eq!(wait_of("google", 429, &[], &delay(text)), wait, "{text}");
    }
    let rows = [
        ("please retry after 37s, resets at noon", Some(37_000)),
        ("Please RETRY AFTER 1m30s.", Some(90_000)),
        ("try again in 2.5 seconds", Some(2_500)),
        ("retry in 12.", Some(12_000)),
        ("retry after a while", None),
        ("slow down", None),
    ];
    for (text, wait) in rows {
        assert_eq!(wait_of("firecrawl", 429, &[], text), wait, "{text}");
        assert_eq!(wait_of("openai", 429, &[], text), None, "bodies may hold what callers sent");
    }
}

#[test]
fn a_days_limit_waits_for_midnight_in_california_in_winter_and_summer() {
    let body = r#"{"error":{"status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"RequestsPerDay"}]},{"retryDelay":"26s"}]}}"#;
    let rows = [
        ("2026-01-31T12:00:00Z", "2026-02-01T08:00:00.000Z"),
        ("2026-01-31T07:59:59Z", "2026-01-31T08:00:00.000Z"),
        ("2026-07-31T12:00:00Z", "2026-08-01T07:00:00.000Z"),
        // The day on which clocks go back has 25 hours, of which a day is believed.
        ("2026-11-01T07:30:00Z", "2026-11-02T07:30:00.000Z"),
    ];
    for (now, midnight) in rows {
        let now = Timestamp::parse(now).unwrap();
        let answer = Answer { status: 429, headers: &headers(&[]), body: body.as_bytes() };
        let wait = judge(&provider("google"), &answer, now).wait.unwrap();
        assert_eq!(now.after(wait).to_string(), midnight);
    }
}
