use super::*;

fn rule(text: &str) -> Result<ErrorRule, String> {
    let text = format!("class = 'no_credit'\nsrc = 'doc'\n{text}");
    toml::from_str(&text).map_err(|error: toml::de::Error| error.message().to_owned())
}

fn check(text: &str) -> Result<Check, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
}

#[test]
fn a_place_is_read_and_prints_as_written() {
    for text in ["status", "text", "body", "header:x-bf-error", "body:error.code", "body:error.details[].reason"] {
        assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
    }
    for text in ["", "Status", "cookie:a", "header:", "header:a b", "body:", "body:a..b", "body:[]", "body:a[0]"] {
        assert_eq!(text.parse::<Place>(), Err(InvalidRule::Place(text.to_owned())), "{text}");
    }
}

#[test]
fn a_body_path_steps_into_members_and_elements() {
    let member = |name: &str| Step::Member(name.to_owned());
    let path: BodyPath = "errors[].id".parse().unwrap();
    assert_eq!(path.steps(), [member("errors"), Step::Each, member("id")]);
}

#[test]
fn every_test_is_read() {
    let text = str::to_owned;
    let rows = [
        ("eq = 'x'", Test::Eq(text("x"))),
        ("in = ['x', 'y']", Test::In(vec![text("x"), text("y")])),
        ("contains = 'x'", Test::Contains(text("x"))),
        ("min = 0", Test::Min(0)),
        ("exists = false", Test::Exists(false)),
    ];
    for (written, test) in rows {
        let read = rule(&format!("statuses = [429]\nat = 'body:code'\n{written}")).unwrap();
        assert_eq!(read.test, Some(test.clone()), "{written}");
        assert_eq!(check(&format!("at = 'body:code'\n{written}")).unwrap().test, test, "{written}");
    }
    assert_eq!(rule("statuses = [402]\nat = 'status'").unwrap().test, None);
}

#[test]
fn a_rule_that_cannot_be_applied_is_refused() {
    let rows = [
        ("statuses = []\nat = 'status'", "`statuses` must not be empty"),
        ("statuses = [99]\nat = 'status'", "status 99 is not from 100 to 599"),
        ("statuses = [200, 600]\nat = 'status'", "status 600 is not from 100 to 599"),
        ("statuses = [429]\nat = 'status'\neq = '1'", "`at = \"status\"` takes no test"),
        ("statuses = [429]\nat = 'text'", "`at = \"text\"` needs one of eq, in, contains, min, exists"),
        (
            "statuses = [429]\nat = 'body:a'\neq = '1'\ncontains = '1'",
            "`at = \"body:a\"` takes only one of eq, in, contains, min, exists",
        ),
        ("statuses = [429]\nat = 'text'\ncontains = ''", "`at = \"text\"` has an empty test"),
        ("statuses = [429]\nat = 'body:a'\nin = []", "`at = \"body:a\"` has an empty test"),
        (
            "statuses = [429]\nat = 'header:a b'\neq = '1'",
            "`header:a b` is no place: must be status, header:<name>, body:<path>, body or text",
        ),
    ];
    for (text, message) in rows {
        assert_eq!(rule(text), Err(message.to_owned()), "{text}");
    }
}

#[test]
fn a_check_is_never_on_the_status() {
    assert_eq!(check("at = 'status'"), Err("`at = \"status\"` takes no test".to_owned()));
    assert!(check("at = 'text'").is_err());
}

#[test]
fn an_unknown_class_source_or_field_is_refused() {
    let wrong = |text: &str| toml::from_str::<ErrorRule>(text).unwrap_err().message().to_owned();
    assert!(wrong("class = 'dead'\nstatuses = [401]\nat = 'status'\nsrc = 'doc'").contains("unknown variant `dead`"));
    assert!(
        wrong("class = 'no_credit'\nstatuses = [401]\nat = 'status'\nsrc = 'blog'").contains("unknown variant `blog`")
    );
    assert!(rule("statuses = [401]\nat = 'status'\nlike = 'x'").unwrap_err().contains("unknown field `like`"));
}
