//! The description of the interface, made from the handlers, the bodies and the route table.
//!
//! # Invariants
//!
//! - It describes the routes of the table, all of them and no other: a test compares the two.
//! - What a policy and a body can answer is added here for all routes alike, so that no handler has
//!   to repeat it.

use crate::http::error::{CODES, ErrorBody, ErrorFields};
use crate::http::routes::{
    chat, docs, embeddings, expand, feedback, health, ingest, items, keys, models, recall, threads, transfer, usage,
    workingset,
};
use crate::http::upstream::{UpstreamErrorBody, UpstreamErrorFields};
use crate::http::wire;
use crate::http::{ROUTES, UPSTREAM_PATHS, metrics};
use actix_web::web::Bytes;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, PathItem, Ref};
use utoipa::{Modify, OpenApi};

/// The description as JSON.
pub static JSON: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(Api::openapi().to_json().unwrap_or_default()));

#[derive(OpenApi)]
#[openapi(
    info(title = "Context Memory Gateway", description = "The memory an agent loop can afford to ask at every step."),
    paths(
        ingest::ingest, recall::recall, workingset::workingset, expand::expand, expand::raw, feedback::feedback,
        threads::list, threads::read, threads::erase, threads::items, transfer::export, transfer::import,
        chat::completions, chat::legacy, chat::responses, chat::messages, chat::rerank, chat::images, chat::generations, chat::speech,
        chat::transcriptions, embeddings::embeddings, models::list, models::read_by_id, models::read, models::fetch,
        usage::own, usage::all, usage::rows,
        items::read, items::change, items::erase, keys::list, keys::create, keys::change, keys::revoke, keys::rotate,
        health::alive, health::ready, health::health, health::detailed, metrics::metrics, docs::description, docs::page, docs::asset,
    ),
    components(schemas(ErrorBody, ErrorFields, UpstreamErrorBody, UpstreamErrorFields, wire::materials::MessageBody, wire::materials::TextBody)),
    modifiers(&Common),
)]
struct Api;

/// What all routes have in common.
struct Common;

impl Modify for Common {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_with(Components::new);
        let bearer = |text: &str| {
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text)).build())
        };
        components.add_security_scheme("api_key", bearer("An API key, `cmg_…`."));
        components.add_security_scheme("admin_token", bearer("The server's ADMIN_TOKEN."));
        for (method, path, policy) in ROUTES {
            let operation = api.paths.paths.get_mut(*path).and_then(|item| operation(item, method));
            if let Some(operation) = operation {
                complete(operation, path, policy);
            }
        }
    }
}

fn operation<'a>(item: &'a mut PathItem, method: &str) -> Option<&'a mut Operation> {
    match method {
        "GET" => item.get.as_mut(),
        "POST" => item.post.as_mut(),
        "PATCH" => item.patch.as_mut(),
        "DELETE" => item.delete.as_mut(),
        _ => None,
    }
}

/// Adds who may call and what may go wrong.
fn complete(operation: &mut Operation, path: &str, policy: &str) {
    let scheme = match policy {
        "Reader" | "Writer" => Some("api_key"),
        "Admin" => Some("admin_token"),
        _ => None,
    };
    operation.security =
        Some(scheme.map(|name| SecurityRequirement::new::<_, [&str; 0], &str>(name, [])).into_iter().collect());
    let body = if UPSTREAM_PATHS.contains(&path) { "UpstreamErrorBody" } else { "ErrorBody" };
    for status in statuses(path, policy, operation.request_body.is_some()) {
        let codes: Vec<&str> = CODES.iter().filter(|(_, of, _)| *of == status).map(|(code, ..)| *code).collect();
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(body))).build();
        let response =
            ResponseBuilder::new().description(codes.join(", ")).content("application/json", content).build();
        operation.responses.responses.insert(status.to_string(), response.into());
    }
}

/// The statuses of errors that a route can answer.
fn statuses(path: &str, policy: &str, has_body: bool) -> BTreeSet<u16> {
    let mut all = BTreeSet::from([400, 404, 405, 500, 503, 504]);
    if policy != "Open" {
        all.extend([401, 403]);
    }
    if matches!(policy, "Reader" | "Writer") {
        all.insert(429);
    }
    if UPSTREAM_PATHS.contains(&path) {
        all.extend([402, 408, 422, 502]);
    }
    if path == "/admin/models/fetch" {
        all.insert(502);
    }
    if policy == "Writer" || policy == "Admin" {
        all.extend([409, 507]);
    }
    if has_body {
        all.extend([413, 415]);
    }
    if path == "/v1/ingest" || path.ends_with("/import") {
        all.insert(422);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn description() -> Value {
        serde_json::from_slice(&JSON).unwrap()
    }

    #[test]
    fn it_describes_the_routes_of_the_table_and_no_other() {
        let api = description();
        let mut described = BTreeSet::new();
        for (path, item) in api["paths"].as_object().unwrap() {
            described.extend(item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
        }

        let table = ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();

        assert_eq!(described, table);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(map) => map.iter().for_each(|(name, value)| match value {
                    Value::String(text) if name == "$ref" => found.push(text),
                    _ => walk(value, found),
                }),
                Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
                _ => {}
            }
        }
        let api = description();
        let mut references = Vec::new();
        walk(&api, &mut references);

        assert!(!references.is_empty());
        for reference in references {
            assert!(api.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
        assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    }

    #[test]
    fn every_guarded_route_says_so() {
        let api = description();
        for (method, path, policy) in ROUTES {
            let operation = &api["paths"][*path][method.to_lowercase()];
            let guarded = operation["security"].as_array().is_some_and(|needs| !needs.is_empty());
            assert_eq!(guarded, *policy != "Open", "{method} {path}");
            assert_eq!(operation["responses"].get("401").is_some(), guarded, "{method} {path}");
        }
    }
}
