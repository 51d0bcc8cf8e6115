//! The answer of every endpoint that the mock does not know: what arrived, without anything secret.

use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::call::Call;
use crate::keys;

pub(crate) fn answer(call: &Call<'_>) -> Answer {
    let content_type = call.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut body = account(call.provider, call.path);
    body.extend([
        ("provider".to_owned(), call.provider.into()),
        ("method".to_owned(), call.head.method.as_str().into()),
        ("path".to_owned(), call.path.into()),
        ("query".to_owned(), open_query(call.head.uri.query().unwrap_or_default()).into()),
        ("body_bytes".to_owned(), call.body.length.into()),
        ("content_type".to_owned(), content_type.into()),
    ]);
    Answer::json(Value::Object(body).to_string())
}

/// The query without the parameters that hold or may hold a key.
fn open_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        !keys::is_key_like(name)
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// What these providers say of an account in order. They answer 200 to a bad key too, and only the body tells.
fn account(provider: &str, path: &str) -> Map<String, Value> {
    let fields = match (provider, path) {
        ("xai", "/v1/api-key") => {
            json!({"api_key_blocked": false, "api_key_disabled": false, "team_blocked": false})
        }
        ("jina", "/") => json!({"balance": "[Balance left] 1000"}),
        ("zerobounce", "/v2/getcredits") => json!({"Credits": "1000"}),
        ("neverbounce", "/v4/account/info") => json!({"status": "success"}),
        ("millionverifier", "/api/v3/credits") => json!({"credits": 1000}),
        _ => return Map::new(),
    };
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_echoed_query_has_no_keys() {
        assert_eq!(open_query("q=a&key=1&API_KEY=2&apiId=3&api=4&x-token=5&page=2&flag"), "q=a&page=2&flag");
    }
}
