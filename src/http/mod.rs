//! The route table: every path, its methods, what each asks of its caller, and who answers.
//!
//! # Invariants
//!
//! - The first argument of a handler is the policy that stands in its row; anything else does not
//!   compile.
//! - A known path with another method is a 405 that says which there are; all else is a 404 in the
//!   same shape as every error.

pub mod app;
pub mod body;
pub mod caller;
pub mod check;
pub mod cors;
pub mod edge;
pub mod error;
pub mod idempotency;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod rate_headers;
pub mod request_id;
pub mod routes;
pub mod upstream;
pub mod wire;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, Resource, Responder, Route};
use caller::{Admin, Open, Policy, Reader, Writer};
use error::ApiError;
use routes::{
    chat, docs, embeddings, expand, feedback, health, ingest, items, keys, models, recall, threads, transfer, usage,
    workingset,
};

/// A row of the table: method, path, policy.
pub type Row = (&'static str, &'static str, &'static str);

/// Makes the table and its registration from one list, so that they cannot drift apart.
macro_rules! routes {
    ($($path:literal { $($method:ident $policy:ident $handler:path),+ $(,)? })+) => {
        /// Every route: method, path, policy.
        pub const ROUTES: &[Row] = &[$($((stringify!($method), $path, <$policy as Policy>::NAME)),+),+];

        /// Registers every route, and answers for those that do not exist.
        pub fn configure(config: &mut ServiceConfig) {
            $(config.service(at($path, vec![$((Method::$method, guarded::<$policy, _, _>($handler))),+]));)+
            config.default_service(web::to(|| async { Err::<String, _>(ApiError::not_found("there is no such route")) }));
        }
    };
}

routes! {
    "/healthz"                    { GET Open health::alive }
    "/v1/recall"                  { POST Reader recall::recall }
    "/v1/ingest"                  { POST Writer ingest::ingest }
    "/v1/workingset"              { POST Reader workingset::workingset }
    "/v1/expand/{id}"             { GET Reader expand::expand }
    "/v1/expand/{id}/raw"         { GET Reader expand::raw }
    "/v1/feedback"                { POST Writer feedback::feedback }
    "/v1/threads"                 { GET Reader threads::list }
    "/v1/threads/{id}"            { GET Reader threads::read, DELETE Writer threads::erase }
    "/v1/threads/{id}/items"      { GET Reader threads::items }
    "/v1/threads/{id}/export"     { GET Reader transfer::export }
    "/v1/threads/{id}/import"     { POST Writer transfer::import }
    "/v1/items/{id}"              { GET Reader items::read, PATCH Writer items::change, DELETE Writer items::erase }
    "/v1/chat/completions"        { POST Writer chat::completions }
    "/v1/completions"             { POST Writer chat::legacy }
    "/v1/responses"               { POST Writer chat::responses }
    "/v1/messages"                { POST Writer chat::messages }
    "/v1/embeddings"              { POST Writer embeddings::embeddings }
    "/v1/rerank"                  { POST Writer chat::rerank }
    "/v1/images"                  { POST Writer chat::images }
    "/v1/images/generations"      { POST Writer chat::generations }
    "/v1/audio/speech"            { POST Writer chat::speech }
    "/v1/audio/transcriptions"    { POST Writer chat::transcriptions }
    "/v1/models"                  { GET Reader models::list }
    "/v1/models/{id}"             { GET Reader models::read_by_id }
    "/v1/models/{author}/{slug}"  { GET Reader models::read }
    "/v1/usage"                   { GET Reader usage::own }
    "/admin/api/usage"            { GET Admin usage::all }
    "/admin/api/usage/requests"   { GET Admin usage::rows }
    "/admin/models/fetch"         { POST Admin models::fetch }
    "/admin/api/keys"             { GET Admin keys::list, POST Admin keys::create }
    "/admin/api/keys/{id}"        { PATCH Admin keys::change, DELETE Admin keys::revoke }
    "/admin/api/keys/{id}/rotate" { POST Admin keys::rotate }
    "/readyz"                     { GET Open health::ready }
    "/health"                     { GET Open health::health }
    "/health/detailed"            { GET Open health::detailed }
    "/metrics"                    { GET Open metrics::metrics }
    "/openapi.json"               { GET Open docs::description }
    "/docs"                       { GET Open docs::page }
    "/docs/{file}"                { GET Open docs::asset }
}

/// Routes that wait for an upstream, which has time limits of its own.
pub const UPSTREAM_PATHS: &[&str] = &[
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/images",
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
];

/// A path with its methods.
fn at(path: &'static str, methods: Vec<(Method, Route)>) -> Resource {
    let allow: Vec<String> = methods.iter().map(|(method, _)| method.to_string()).collect();
    let allow = allow.join(", ");
    let mut resource = web::resource(path);
    for (method, route) in methods {
        resource = resource.route(route.method(method));
    }
    resource.default_service(web::to(move || {
        let error = ApiError::method_not_allowed(&allow);
        async { Err::<String, _>(error) }
    }))
}

/// A handler whose first argument is the policy `P`.
fn guarded<P: Policy, F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: FromRequest + Guarded<P> + 'static,
    F::Output: Responder + 'static,
{
    Route::new().to(handler)
}

/// Arguments of which the first is the policy `P`.
trait Guarded<P> {}
impl<P> Guarded<P> for (P,) {}
impl<P, A> Guarded<P> for (P, A) {}
impl<P, A, B> Guarded<P> for (P, A, B) {}
impl<P, A, B, C> Guarded<P> for (P, A, B, C) {}
