//! Changes in plain words: what follows the name of whoever made them.

use claviger_core::audit::AuditEntry;
use serde_json::Value;

use super::text::whom;
use crate::text::ENGLISH;

/// What was done, by the name of the key's provider where there is one. What is not known is told as it was entered.
pub(super) fn said(entry: &AuditEntry, details: &Value, provider: Option<&str>) -> String {
    let (before, after) = (&details["before"], &details["after"]);
    match entry.action.as_str() {
        "byok_key.created" => format!("added {}", key(after, provider)),
        "byok_key.updated" => key_changed(before, after, provider),
        "byok_key.deleted" => format!("deleted {}", key(before, provider)),
        "portal_link.created" => format!("made a link to this page for {}{}", person(after), purpose(after)),
        "portal_session.created" => format!("opened this page{}", purpose(after)),
        "portal_session.deleted" => session_ended(entry, before),
        "token.created" => format!("made the access token {}{}", token(after, &entry.target), role(after)),
        "token.deleted" => format!("deleted the access token {}", token(before, &entry.target)),
        "webhook.created" => format!("added a webhook to {}", receiver(after, &entry.target)),
        "webhook.deleted" => format!("removed the webhook to {}", receiver(before, &entry.target)),
        "workspace.created" => "made this workspace".to_owned(),
        "workspace.updated" => workspace_changed(before, after),
        "workspace.rekeyed" => "sealed all of this workspace’s keys anew".to_owned(),
        "workspace.deleted" => "deleted this workspace, and all that belonged to it".to_owned(),
        action => format!("{action}: {}", entry.target),
    }
}

fn text<'a>(fields: &'a Value, name: &str) -> Option<&'a str> {
    fields[name].as_str().filter(|text| !text.is_empty())
}

/// `the OpenAI key`
fn kind(provider: Option<&str>) -> String {
    provider.map_or_else(|| "the key".to_owned(), |provider| format!("the {provider} key"))
}

fn masked(fields: &Value) -> String {
    text(fields, "maskedKey").map(|mask| format!(" ({mask})")).unwrap_or_default()
}

fn key(fields: &Value, provider: Option<&str>) -> String {
    let name = text(fields, "name").map(|name| format!(" “{name}”")).unwrap_or_default();
    format!("{}{name}{}", kind(provider), masked(fields))
}

/// One update may be several changes: the first names the key.
fn key_changed(before: &Value, after: &Value, provider: Option<&str>) -> String {
    let mut said = Vec::new();
    if after["secretReplaced"] == true {
        let was = text(before, "maskedKey").map(|mask| format!(", which was {mask}")).unwrap_or_default();
        said.push(format!("replaced the secret of {}{was}", key(after, provider)));
    }
    if before["name"] != after["name"] {
        let it = if said.is_empty() { format!("{}{}", kind(provider), masked(after)) } else { "it".to_owned() };
        said.push(match (text(before, "name"), text(after, "name")) {
            (Some(was), Some(is)) => format!("renamed {it} from “{was}” to “{is}”"),
            (None, Some(is)) => format!("gave {it} the label “{is}”"),
            (Some(was), None) => format!("took the label “{was}” from {it}"),
            (None, None) => format!("changed the label of {it}"),
        });
    }
    if before["enabled"] != after["enabled"] {
        let it = if said.is_empty() { key(after, provider) } else { "it".to_owned() };
        said.push(format!("switched {it} {}", if after["enabled"] == true { "on" } else { "off" }));
    }
    match said.len() {
        0 => format!("changed {}", key(after, provider)),
        _ => said.join(", and "),
    }
}

fn person(fields: &Value) -> String {
    text(fields, "actor").map_or_else(|| ENGLISH.nobody.to_lowercase(), whom)
}

fn purpose(fields: &Value) -> &'static str {
    match text(fields, "role") {
        Some("admin") => ", to manage keys",
        Some("member") => ", to look at keys",
        _ => "",
    }
}

fn session_ended(entry: &AuditEntry, session: &Value) -> String {
    let own = text(session, "actor") == Some(&entry.actor) || entry.actor == format!("portal:{}", entry.target);
    if own { "ended their own session".to_owned() } else { format!("ended the session of {}", person(session)) }
}

fn token(fields: &Value, id: &str) -> String {
    text(fields, "name").map_or_else(|| id.to_owned(), |name| format!("“{name}”"))
}

fn role(fields: &Value) -> String {
    text(fields, "role").map(|role| format!(" of the role {role}")).unwrap_or_default()
}

fn receiver<'a>(fields: &'a Value, id: &'a str) -> &'a str {
    text(fields, "authority").unwrap_or(id)
}

fn workspace_changed(before: &Value, after: &Value) -> String {
    let mut said = Vec::new();
    if before["name"] != after["name"] {
        said.push(match (text(before, "name"), text(after, "name")) {
            (Some(was), Some(is)) => format!("renamed the workspace from “{was}” to “{is}”"),
            (_, Some(is)) => format!("named the workspace “{is}”"),
            (_, None) => "took the workspace’s name away".to_owned(),
        });
    }
    if before["organizationId"] != after["organizationId"] {
        said.push(match (text(before, "organizationId"), text(after, "organizationId")) {
            (Some(was), None) if after["organizationDeleted"] == true => {
                format!("deleted the organization {was}, which the workspace belonged to")
            }
            (Some(was), Some(is)) => format!("moved the workspace from the organization {was} to {is}"),
            (_, Some(is)) => format!("moved the workspace into the organization {is}"),
            (Some(was), None) => format!("took the workspace out of the organization {was}"),
            (None, None) => "changed the workspace’s organization".to_owned(),
        });
    }
    match said.len() {
        0 => "changed the workspace".to_owned(),
        _ => said.join(", and "),
    }
}

#[cfg(test)]
mod tests {
    use claviger_core::Timestamp;
    use claviger_core::audit::AuditHash;
    use serde_json::json;

    use super::*;

    fn told(action: &str, details: &Value) -> String {
        let entry = AuditEntry {
            sequence: 1,
            at: Timestamp::from_millis(0),
            actor: "ada".to_owned(),
            action: action.to_owned(),
            target: "it_1".to_owned(),
            provider: None,
            details: String::new(),
            hash: AuditHash::NONE,
        };
        said(&entry, details, None)
    }

    #[test]
    fn what_is_not_known_is_told_as_it_was_entered() {
        assert_eq!(told("robot.hired", &json!({})), "robot.hired: it_1");
        for action in ["byok_key.created", "byok_key.updated", "byok_key.deleted", "token.created", "webhook.deleted"] {
            for details in [Value::Null, json!([]), json!({"before": 7, "after": ["x"]})] {
                assert!(!told(action, &details).is_empty(), "{action}");
            }
        }
    }

    #[test]
    fn a_new_secret_with_a_new_label_is_one_sentence() {
        let before = json!({"name": "Old", "maskedKey": "a...b", "enabled": true});
        let after = json!({"name": "New", "maskedKey": "c...d", "enabled": true, "secretReplaced": true});
        assert_eq!(
            told("byok_key.updated", &json!({"before": before, "after": after})),
            "replaced the secret of the key “New” (c...d), which was a...b, and renamed it from “Old” to “New”"
        );
    }

    #[test]
    fn workspaces_move_and_are_named() {
        let of = |name: Value, organization: Value| json!({"name": name, "organizationId": organization});
        for (before, after, words) in [
            (
                of(json!("A"), json!("x")),
                of(json!("A"), json!("y")),
                "moved the workspace from the organization x to y",
            ),
            (
                of(json!("A"), json!("x")),
                json!({"name": "A", "organizationId": null, "organizationDeleted": true}),
                "deleted the organization x, which the workspace belonged to",
            ),
            (of(json!("A"), Value::Null), of(Value::Null, Value::Null), "took the workspace’s name away"),
            (
                of(Value::Null, Value::Null),
                of(json!("A"), json!("x")),
                "named the workspace “A”, and moved the workspace into the organization x",
            ),
        ] {
            assert_eq!(told("workspace.updated", &json!({"before": before, "after": after})), words);
        }
    }
}
