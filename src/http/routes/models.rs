//! `/v1/models`: the catalogue as it was fetched last, with what the server has itself; and the fetch.

use crate::http::caller::{Admin, Reader};
use crate::http::error::ApiError;
use crate::http::page::Query;
use crate::http::wire::json;
use actix_web::http::header::ContentType;
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use cmg_actors::gateway::{Gateway, SyncReport};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Models of a page at most.
const LARGEST_LIMIT: u64 = 1_000;

/// The models that can be asked for.
#[derive(Serialize, ToSchema)]
pub struct ModelsAnswer<'a> {
    /// Always `list`.
    pub object: &'static str,
    /// The models, in `OpenRouter`'s form.
    #[schema(value_type = Vec<Object>)]
    pub data: Vec<&'a RawValue>,
    /// All there are.
    pub total_count: usize,
}

/// What a fetch found.
#[derive(Debug, Serialize, ToSchema)]
pub struct FetchAnswer {
    /// Models in the catalogue now.
    pub models: usize,
    /// Rows that could not be understood, and were left out.
    pub skipped: usize,
    /// Prices that are other ones than before.
    pub price_changes: usize,
}

/// All models: the server's own embedder first, then the catalogue's.
#[utoipa::path(get, path = "/v1/models", tag = "gateway",
    params(("offset" = Option<u32>, Query, description = "Models to leave out at the beginning"), ("limit" = Option<u32>, Query, description = "1 to 1000; all when left out")),
    responses((status = 200, description = "The models.", body = ModelsAnswer)))]
pub async fn list(caller: Reader, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query = Query::read(request.query_string(), &["offset", "limit"])?;
    let number = |name: &str, least: u64, most: u64| match query.get(name) {
        None => Ok(None),
        Some(text) => {
            let number = text.parse::<u64>().ok().filter(|number| (least..=most).contains(number));
            let wrong =
                || ApiError::invalid_value(name.to_owned(), format!("`{name}` is a number from {least} to {most}"));
            number.and_then(|number| usize::try_from(number).ok()).map(Some).ok_or_else(wrong)
        }
    };
    let (offset, limit) = (number("offset", 0, u64::from(u32::MAX))?.unwrap_or(0), number("limit", 1, LARGEST_LIMIT)?);
    let catalogue = caller.directory.gateway().catalogue();
    let own = own(caller.directory.embedder().id());
    let all = own.iter().map(|raw| &**raw).chain(catalogue.list(0, usize::MAX).iter().map(|model| &*model.raw));
    let total_count = own.len() + catalogue.len();
    json(&ModelsAnswer {
        object: "list",
        data: all.skip(offset).take(limit.unwrap_or(usize::MAX)).collect(),
        total_count,
    })
}

/// The server's own models, in `OpenRouter`'s form.
fn own(embedder: &str) -> Vec<Box<RawValue>> {
    let model = serde_json::json!({
        "id": embedder, "object": "model", "created": 0, "owned_by": "cmg", "name": "The server's own embedder",
        "description": "Answers /v1/embeddings without an upstream.", "context_length": 512,
        "architecture": {"modality": "text->embeddings", "input_modalities": ["text"], "output_modalities": ["embeddings"]},
        "pricing": {"prompt": "0", "completion": "0"},
    });
    serde_json::value::to_raw_value(&model).into_iter().collect()
}

/// One model, by author and slug.
#[utoipa::path(get, path = "/v1/models/{author}/{slug}", tag = "gateway",
    params(("author" = String, Path, description = "The author"), ("slug" = String, Path, description = "The model's name with the author")),
    responses((status = 200, description = "The model.", body = serde_json::Value)))]
pub async fn read(caller: Reader, path: Path<(String, String)>) -> Result<HttpResponse, ApiError> {
    let (author, slug) = path.into_inner();
    find(caller.directory.gateway(), &format!("{author}/{slug}"))
}

/// One model, by its whole name.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "gateway", params(("id" = String, Path, description = "The model's name, its slash as %2F")),
    responses((status = 200, description = "The model.", body = serde_json::Value)))]
pub async fn read_by_id(caller: Reader, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let embedder = caller.directory.embedder().id().to_owned();
    if *id == embedder {
        let own = own(&embedder);
        return own.first().map(|raw| answer(raw)).ok_or_else(ApiError::internal);
    }
    find(caller.directory.gateway(), &id)
}

fn find(gateway: &Gateway, id: &str) -> Result<HttpResponse, ApiError> {
    let catalogue = gateway.catalogue();
    let model = catalogue.get(id).ok_or_else(|| ApiError::model_not_found(id))?;
    Ok(answer(&model.raw))
}

fn answer(raw: &RawValue) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(raw.get().to_owned())
}

/// Fetches the catalogue from the upstream now.
#[utoipa::path(post, path = "/admin/models/fetch", tag = "admin",
    responses((status = 200, description = "What was found.", body = FetchAnswer)))]
pub async fn fetch(admin: Admin) -> Result<HttpResponse, ApiError> {
    let gateway = admin.directory.gateway();
    if !gateway.is_configured() {
        return Err(cmg_actors::gateway::GatewayError::NotConfigured.into());
    }
    let SyncReport { models, skipped, price_changes } = gateway.sync_models().await.map_err(ApiError::upstream)?;
    json(&FetchAnswer { models, skipped, price_changes })
}
