//! What the server says about itself: health, OpenAPI, pages.

use super::{server, workspace};
use serde_json::Value;
use std::collections::BTreeSet;

/// The routes that the interface's description promises.
const ROUTES: &[(&str, &str)] = &[
    ("post", "/v1/ingest"),
    ("post", "/v1/recall"),
    ("post", "/v1/workingset"),
    ("get", "/v1/expand/{}"),
    ("get", "/v1/expand/{}/raw"),
    ("post", "/v1/feedback"),
    ("get", "/v1/threads"),
    ("get", "/v1/threads/{}"),
    ("delete", "/v1/threads/{}"),
    ("get", "/v1/threads/{}/items"),
    ("get", "/v1/threads/{}/export"),
    ("post", "/v1/threads/{}/import"),
    ("get", "/v1/items/{}"),
    ("patch", "/v1/items/{}"),
    ("delete", "/v1/items/{}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/admin/api/keys"),
    ("post", "/admin/api/keys"),
    ("patch", "/admin/api/keys/{}"),
    ("delete", "/admin/api/keys/{}"),
];

fn description() -> Value {
    let answer = server().anonymous().get("/openapi.json");
    assert_eq!(answer.status, 200, "{answer}");
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    answer.value()
}

/// A path without the names of its parameters.
fn nameless(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn the_description_holds_every_route() {
    let described = description();
    assert!(described["openapi"].as_str().unwrap().starts_with("3.1"), "{}", described["openapi"]);
    let paths = described["paths"].as_object().unwrap();
    let found: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(|method| (method.clone(), nameless(path))))
        .collect();

    let missing: Vec<_> =
        ROUTES.iter().filter(|(method, path)| !found.contains(&((*method).to_owned(), (*path).to_owned()))).collect();

    assert!(missing.is_empty(), "/openapi.json does not know {missing:?}");
}

#[test]
fn every_route_describes_its_errors_and_every_reference_leads_somewhere() {
    let described = description();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let answers =
                operation["responses"].as_object().unwrap_or_else(|| panic!("{method} {path} has no answers"));
            assert!(answers.keys().any(|status| status.starts_with('2')), "{method} {path} describes no success");
            if path.starts_with("/v1/") || path.starts_with("/admin/api") {
                assert!(answers.contains_key("401"), "{method} {path} wants a key, and does not say so");
            }
        }
    }
    let text = described.to_string();
    for reference in text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads outside"));
        assert!(described.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn the_routes_described_are_the_routes_there_are() {
    let client = workspace();
    for (path, methods) in description()["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let real: Vec<String> = path
                .split('/')
                .map(|part| if part.starts_with('{') { "E999".to_owned() } else { part.to_owned() })
                .collect();
            let answer = crate::support::Client::send(client.request(&method.to_uppercase(), &real.join("/")));
            assert_ne!(answer.status, 405, "{method} {path} is described, and not there: {answer}");
            assert!(answer.status < 500, "{method} {path}: {answer}");
        }
    }
}

#[test]
fn the_pages_need_nothing_from_elsewhere() {
    let client = server().anonymous();
    let page = client.get("/docs");
    assert_eq!(page.status, 200, "{page}");
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{:?}", page.headers);

    let mut seen = BTreeSet::new();
    for attribute in ["src=\"", "href=\""] {
        for link in page.text().split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()) {
            if link.starts_with("data:") || link.starts_with('#') {
                continue;
            }
            assert!(!link.contains("://") && !link.starts_with("//"), "{link} comes from elsewhere");
            let path =
                if link.starts_with('/') { link.clone() } else { format!("/docs/{}", link.trim_start_matches("./")) };
            let asset = client.get(&path);
            assert_eq!(asset.status, 200, "{link}: {asset}");
            seen.insert(link);
        }
    }
    assert!(!seen.is_empty(), "an interactive page has a script: {page}");
}

#[test]
fn health_is_told_without_a_key() {
    let client = server().anonymous();

    for path in ["/healthz", "/readyz"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
}
