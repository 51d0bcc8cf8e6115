use std::sync::Arc;

use super::*;
use crate::catalogue::Catalogue;

fn builtin(id: &str) -> Arc<Provider> {
    Arc::clone(Catalogue::builtin().unwrap().get(id).unwrap())
}

fn routed(provider: &Provider, path: &str) -> String {
    let (origin, rest) = provider.route(path);
    format!("{}{rest}", origin.url)
}

#[test]
fn an_alias_picks_its_origin_and_any_other_path_goes_to_the_default() {
    let cloud = builtin("google_cloud");
    let rows = [
        ("/language/translate/v2", "https://translation.googleapis.com/language/translate/v2"),
        ("/translate/language/translate/v2", "https://translation.googleapis.com/language/translate/v2"),
        ("/maps/maps/api/geocode/json", "https://maps.googleapis.com/maps/api/geocode/json"),
        ("/address/v1:validateAddress", "https://addressvalidation.googleapis.com/v1:validateAddress"),
        ("/maps", "https://maps.googleapis.com/"),
        ("/maps/", "https://maps.googleapis.com/"),
        ("/maps//x", "https://maps.googleapis.com//x"),
        ("/", "https://translation.googleapis.com/"),
        ("//maps/x", "https://translation.googleapis.com//maps/x"),
        ("/mapsx/y", "https://translation.googleapis.com/mapsx/y"),
        ("/Maps/y", "https://translation.googleapis.com/Maps/y"),
        ("/m%61ps/y", "https://translation.googleapis.com/m%61ps/y"),
        ("/x/maps/y", "https://translation.googleapis.com/x/maps/y"),
    ];
    for (path, url) in rows {
        assert_eq!(routed(&cloud, path), url, "{path}");
    }
}

#[test]
fn a_path_that_is_a_url_is_kept_as_it_is() {
    let jina = builtin("jina");
    let rows = [
        ("/https://example.com//a/../b", "https://r.jina.ai/https://example.com//a/../b"),
        ("/reader/https://example.com//a", "https://r.jina.ai/https://example.com//a"),
        ("/search/a%20question", "https://s.jina.ai/a%20question"),
        ("/api/v1/embeddings", "https://api.jina.ai/v1/embeddings"),
    ];
    for (path, url) in rows {
        assert_eq!(routed(&jina, path), url, "{path}");
    }
}

#[test]
fn with_one_origin_no_path_is_touched() {
    let anthropic = builtin("anthropic");
    assert_eq!(routed(&anthropic, "/v1/messages"), "https://api.anthropic.com/v1/messages");
    assert_eq!(routed(&anthropic, "/main/v1"), "https://api.anthropic.com/main/v1");
}

#[test]
fn every_builtin_origin_is_reached_by_its_alias_and_its_paths_are_not_mistaken_for_one() {
    for provider in Catalogue::builtin().unwrap().iter().filter(|provider| provider.origins.len() > 1) {
        for origin in &provider.origins {
            for path in &origin.paths {
                let aliased = format!("/{}{path}", origin.alias);
                assert_eq!(provider.route(&aliased), (origin, path.as_str()), "{} {aliased}", provider.id);
            }
        }
        let default = &provider.origins[0];
        for path in &default.paths {
            assert_eq!(provider.route(path), (default, path.as_str()), "{} {path}", provider.id);
        }
    }
}

#[test]
fn one_base_url_stands_for_all_origins_and_aliases_are_still_removed() {
    let base: BaseUrl = "http://127.0.0.1:9000/mock/google_cloud/".parse().unwrap();
    let cloud = Provider::clone(&builtin("google_cloud")).with_base_url(base);
    let url = |path| routed(&cloud, path);
    assert_eq!(url("/maps/maps/api/geocode/json"), "http://127.0.0.1:9000/mock/google_cloud/maps/api/geocode/json");
    assert_eq!(url("/language/translate/v2"), "http://127.0.0.1:9000/mock/google_cloud/language/translate/v2");
}

#[test]
fn an_origin_may_want_the_key_in_a_place_of_its_own() {
    let verifier = builtin("millionverifier");
    let auth = |path| verifier.auth_at(verifier.route(path).0).clone();
    assert_eq!(auth("/api/v3/"), Auth::Query { name: "api".to_owned() });
    assert_eq!(auth("/bulk/bulkapi/v2/upload"), Auth::Query { name: "key".to_owned() });

    let base: BaseUrl = "http://localhost:9000".parse().unwrap();
    let moved = Provider::clone(&verifier).with_base_url(base);
    let (origin, _) = moved.route("/bulk/bulkapi/v2/upload");
    assert_eq!(moved.auth_at(origin), &Auth::Query { name: "key".to_owned() });
}

#[test]
fn an_operator_defines_a_provider_with_one_origin_for_every_path() {
    let base: BaseUrl = "http://llm.internal:8000/openai".parse().unwrap();
    let custom = Provider::custom("house-llm".parse().unwrap(), base.clone(), None, Auth::Bearer);
    assert_eq!((custom.name.as_str(), custom.section), ("house-llm", Section::Custom));
    assert_eq!(custom.placeholder, "Enter your house-llm API key");
    assert_eq!(routed(&custom, "/main/v1/models"), "http://llm.internal:8000/openai/main/v1/models");
    assert_eq!(custom.auth_at(&custom.origins[0]), &Auth::Bearer);
    assert_eq!(custom.rate.statuses, [429]);
    assert!(custom.probe.is_none() && custom.errors.is_empty());

    let named = Provider::custom("house-llm".parse().unwrap(), base, Some("House".to_owned()), Auth::Bearer);
    assert_eq!(named.name, "House");
}

#[test]
fn few_providers_tell_failures_in_the_bodies_of_good_answers() {
    let catalogue = Catalogue::builtin().unwrap();
    let telling = catalogue.iter().filter(|provider| provider.told_in_bodies().next().is_some());
    let telling: Vec<_> = telling.map(|provider| provider.id.as_str()).collect();
    assert_eq!(telling, ["google_cloud", "wiza", "icypeas", "zerobounce", "neverbounce", "millionverifier"]);
    assert!(catalogue.iter().flat_map(|provider| provider.told_in_bodies()).all(|status| status == 200));
}
