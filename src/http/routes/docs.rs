//! `/openapi.json` and `/docs`: the interface, for programs and for people. All assets are embedded.

use crate::http::caller::Open;
use crate::http::error::ApiError;
use crate::http::openapi;
use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentEncoding, ContentType};
use actix_web::web::Path;
use std::sync::{Arc, LazyLock};
use utoipa_swagger_ui::Config;

/// What the page may load: its own files and nothing else.
const POLICY: &str =
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="UTF-8">
    <title>Context Memory Gateway</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css">
    <link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/swagger-ui-standalone-preset.js"></script>
    <script src="/docs/swagger-initializer.js"></script>
  </body>
</html>
"#;

static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").persist_authorization(false)));

/// The description of this interface, `OpenAPI` 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "docs",
    responses((status = 200, description = "The description.", content_type = "application/json")))]
pub async fn description(_: Open) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(openapi::JSON.clone())
}

/// The same for people, to try out.
#[utoipa::path(get, path = "/docs", tag = "docs",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")))]
pub async fn page(_: Open) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::html()).insert_header((CONTENT_SECURITY_POLICY, POLICY)).body(PAGE)
}

/// A file of the page.
#[utoipa::path(get, path = "/docs/{file}", tag = "docs", params(("file" = String, Path, description = "A file of the page")),
    responses((status = 200, description = "The file.", content_type = "*/*")))]
pub async fn asset(_: Open, name: Path<String>) -> Result<HttpResponse, ApiError> {
    let found = utoipa_swagger_ui::serve(&name, Arc::clone(&CONFIG)).map_err(|_| ApiError::internal())?;
    let file = found.ok_or_else(|| ApiError::not_found("there is no such file"))?;
    let mut answer = HttpResponse::Ok();
    if file.gzpipped {
        answer.insert_header(ContentEncoding::Gzip);
    }
    Ok(answer.content_type(file.content_type).body(file.bytes.into_owned()))
}
