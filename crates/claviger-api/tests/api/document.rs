//! The OpenAPI document as such.

use std::collections::BTreeSet;

use serde_json::Value;

fn document() -> Value {
    serde_json::from_str(&claviger_api::openapi_document()).unwrap()
}

fn operations(document: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((format!("{method} {path}"), operation.clone()));
        }
    }
    all
}

#[test]
fn the_document_is_the_same_every_time_and_ends_its_last_line() {
    assert_eq!(claviger_api::openapi_document(), claviger_api::openapi_document());
    assert!(claviger_api::openapi_document().ends_with("}\n"));
    let document = document();
    assert_eq!(document["info"]["title"], "Claviger");
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}

#[test]
fn operations_have_a_name_of_their_own_a_tag_and_a_summary() {
    let document = document();
    let tags: BTreeSet<_> = document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].to_string()).collect();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].to_string()), "{name}: its id is another's, too");
        assert!(tags.contains(&operation["tags"][0].to_string()), "{name}");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{name}: {parameter}");
        }
    }
}

#[test]
fn errors_are_documented_where_they_can_happen_and_have_one_shape() {
    for (name, operation) in operations(&document()) {
        let responses = operation["responses"].as_object().unwrap();
        let has = |status: &str| responses.contains_key(status);
        assert!(has("200"), "{name}");
        let with_token = operation["security"][0]["token"].is_array();
        let with_body = operation.get("requestBody").is_some();
        assert_eq!(has("401"), with_token, "{name}");
        // Any valid token may see the catalogue.
        assert_eq!(has("403"), with_token && name != "get /api/providers", "{name}");
        assert_eq!(has("413"), with_body, "{name}");
        assert_eq!(has("415"), with_body, "{name}");
        for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Error", "{name} {status}");
        }
    }
}

#[test]
fn codes_are_listed_once_each() {
    let document = document();
    let codes = document["components"]["schemas"]["ErrorCode"]["enum"].as_array().unwrap();
    let once: BTreeSet<_> = codes.iter().map(ToString::to_string).collect();
    assert_eq!(once.len(), codes.len(), "{codes:?}");
}

#[test]
fn the_owners_operations_say_what_can_be_answered_there() {
    let document = document();
    let told = |path: &str, method: &str, status: &str| {
        let described = &document["paths"][path][method]["responses"][status]["description"];
        described.as_str().unwrap_or_default().to_owned()
    };
    for (path, unknown) in [
        ("/api/workspaces/{id}/byok-keys", "unknown_workspace"),
        ("/api/organizations/{id}/byok-keys", "unknown_organization"),
        ("/api/platform/byok-keys", ""),
    ] {
        for method in ["get", "post", "delete"] {
            let not_found = told(path, method, "404");
            for code in ["unknown_workspace", "unknown_organization"] {
                assert_eq!(not_found.contains(code), code == unknown, "{method} {path}");
            }
            let given = path.contains("platform") && method != "get";
            assert_eq!(told(path, method, "409").contains("key_given_by_setting"), given, "{method} {path}");
        }
    }
    assert!(told("/api/workspaces/{id}", "put", "400").contains("unknown_organization"));
}

#[test]
fn every_field_is_described_and_every_reference_leads_somewhere() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        let parts = schema["allOf"].as_array().into_iter().flatten().chain([schema]);
        for (field, described) in parts.flat_map(|part| part["properties"].as_object().into_iter().flatten()) {
            let elsewhere = described["$ref"].as_str().is_some_and(|to| document.pointer(&to[1..]).is_some());
            assert!(described["description"].is_string() || elsewhere, "{name}.{field}");
        }
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let to = reference.split('"').next().unwrap();
        assert!(document.pointer(to).is_some(), "{to}");
    }
}
