use super::Problem;
use crate::catalogue::{Catalogue, CatalogueError};

const ENTRY: &str = r#"
[[provider]]
id = "a"
name = "A"
section = "search"
description = "Does something"
placeholder = "Enter a key"
docs = ["https://a.example.com/docs"]
origins = [
  { alias = "main", url = "https://a.example.com", paths = ["/v1/", "/v2?x=1"] },
  { alias = "eu", url = "https://eu.example.com", paths = ["/"] },
]
auth = { kind = "bearer" }
also = [{ auth = { kind = "query", name = "key" }, only_paths = ["/v1/"], not_origins = ["eu"] }]
extra_headers = { required = { "a-version" = "1" }, optional = ["a-beta"] }
probe = { origin = "main", method = "POST", path = "/v1/me", body = "{}", valid = [{ statuses = [200] }], invalid = [{ statuses = [401] }], cost = "free" }
rate = { statuses = [429], retry_after = "unknown", reset = "body", reset_path = "a.b", retry_hint_header = "x-hint", model_after = "/models/", day = { text = "a day", zone = "UTC0" } }
errors = [{ class = "no_credit", statuses = [402], at = "status", src = "doc" }]
"#;

fn fault(toml: &str) -> (String, Problem) {
    match Catalogue::parse(toml) {
        Err(CatalogueError::Field { field, problem, .. }) => (field, problem),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sound_entry_is_taken() {
    assert!(Catalogue::parse(ENTRY).is_ok());
}

#[test]
fn what_contradicts_itself_is_refused_with_its_field() {
    let text = str::to_owned;
    let rows = [
        ("name = \"A\"", "name = \" \"", "name", Problem::Empty),
        ("\"Does something\"", "\"\"", "description", Problem::Empty),
        ("\"Enter a key\"", "\"\"", "placeholder", Problem::Empty),
        ("\"Enter a key\"", "\"Enter a key\"\nenv = [\"a_key\"]", "env", Problem::EnvName(text("a_key"))),
        ("https://a.example.com/docs", "see mail", "docs", Problem::Link(text("see mail"))),
        ("alias = \"eu\"", "alias = \"\"", "origins[1].alias", Problem::Alias(text(""))),
        ("alias = \"eu\"", "alias = \"E/U\"", "origins[1].alias", Problem::Alias(text("E/U"))),
        ("alias = \"eu\"", "alias = \"main\"", "origins[1].alias", Problem::DuplicateAlias(text("main"))),
        ("alias = \"eu\"", "alias = \"v1\"", "origins[1].alias", ambiguous("v1", "/v1/")),
        ("alias = \"eu\"", "alias = \"v2\"", "origins[1].alias", ambiguous("v2", "/v2?x=1")),
        ("alias = \"main\"", "alias = \"v1\"", "origins[0].alias", ambiguous("v1", "/v1/")),
        ("paths = [\"/\"]", "paths = []", "origins[1].paths", Problem::Empty),
        ("paths = [\"/\"]", "paths = [\"v1/\"]", "origins[1].paths", Problem::Path(text("v1/"))),
        ("only_paths = [\"/v1/\"]", "only_paths = [\"v1\"]", "also[0].only_paths", Problem::Path(text("v1"))),
        ("not_origins = [\"eu\"]", "not_origins = [\"us\"]", "also[0].not_origins", Problem::UnknownOrigin(text("us"))),
        ("\"a-version\" =", "\"a version\" =", "extra_headers.required", Problem::HeaderName(text("a version"))),
        ("= \"1\" }", "= \"1\\n2\" }", "extra_headers.required", Problem::HeaderValue(text("a-version"))),
        ("origin = \"main\"", "origin = \"us\"", "probe.origin", Problem::UnknownOrigin(text("us"))),
        ("\"/v1/me\"", "\"v1/me\"", "probe.path", Problem::Path(text("v1/me"))),
        ("\"/v1/me\"", "\"/v1/me you\"", "probe.path", Problem::Path(text("/v1/me you"))),
        ("\"{}\"", "\"{\"", "probe.body", Problem::NotJson),
        ("\"POST\"", "\"GET\"", "probe.body", Problem::BodyOfGet),
        ("valid = [{ statuses = [200] }]", "valid = []", "probe.valid", Problem::Empty),
        ("[{ statuses = [401] }]", "[]", "probe.invalid", Problem::Empty),
        ("\"x-hint\"", "\"x hint\"", "rate.retry_hint_header", Problem::HeaderName(text("x hint"))),
        ("reset = \"body\"", "reset = \"none\"", "rate.reset_path", Problem::NotInBody),
        ("\"/models/\"", "\"/models\"", "rate.model_after", Problem::NotBeforeSegment(text("/models"))),
        ("\"a day\"", "\"\"", "rate.day.text", Problem::Empty),
        ("\"/models/\"", "\"models/\"", "rate.model_after", Problem::NotBeforeSegment(text("models/"))),
    ];
    for (right, wrong, field, problem) in rows {
        assert!(ENTRY.contains(right), "{right}");
        assert_eq!(fault(&ENTRY.replacen(right, wrong, 1)), (text(field), problem), "{wrong}");
    }
}

fn ambiguous(alias: &str, path: &str) -> Problem {
    Problem::AmbiguousAlias { alias: alias.to_owned(), path: path.to_owned() }
}

#[test]
fn an_entry_without_origins_is_refused() {
    let start = ENTRY.find("origins = [").unwrap();
    let end = ENTRY.find("auth = { kind = \"bearer\" }").unwrap();
    let toml = format!("{}origins = []\n{}", &ENTRY[..start], &ENTRY[end..]);
    assert_eq!(fault(&toml), ("origins".to_owned(), Problem::Empty));
}

#[test]
fn with_one_origin_an_alias_may_look_like_a_path() {
    let start = ENTRY.find("  { alias = \"eu\"").unwrap();
    let end = ENTRY.find("]\nauth").unwrap();
    let toml = format!("{}{}", &ENTRY[..start], &ENTRY[end..]).replace(", not_origins = [\"eu\"]", "");
    let toml = toml.replace("alias = \"main\"", "alias = \"v1\"").replace("origin = \"main\"", "origin = \"v1\"");
    assert!(Catalogue::parse(&toml).is_ok());
}

#[test]
fn an_error_names_its_provider_and_field() {
    let error = Catalogue::parse(&ENTRY.replace("origin = \"main\"", "origin = \"us\"")).unwrap_err();
    assert_eq!(error.to_string(), "provider a: probe.origin: there is no origin `us`");

    let rows = [
        ("statuses = [200] }", "statuses = [] }", "provider a: `statuses` must not be empty in `probe.valid.statuses`"),
        (
            "statuses = [200] }",
            "status = [200] }",
            "provider a: unknown field `status`, expected `statuses` or `when` in `probe.valid`",
        ),
        (
            "at = \"status\"",
            "at = \"text\"",
            "provider a: `at = \"text\"` needs one of eq, in, contains, min, exists in `errors`",
        ),
        ("at = \"status\"", "at = \"status\", eq = \"1\"", "provider a: `at = \"status\"` takes no test in `errors`"),
    ];
    for (right, wrong, message) in rows {
        assert_eq!(Catalogue::parse(&ENTRY.replace(right, wrong)).unwrap_err().to_string(), message);
    }
}
