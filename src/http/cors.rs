//! Calls from browsers of other origins: closed unless `server.cors_origins` opens it.

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};

const METHODS: &str = "GET, POST, PATCH, DELETE";
const HEADERS: &str = "authorization, content-type, idempotency-key, x-request-id";
const EXPOSED: &str = "x-request-id, idempotent-replayed, retry-after";

/// The origin of a request, if the settings let it call.
#[must_use]
pub fn allowed(origins: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    if origins.is_empty() {
        return None;
    }
    let origin = headers.get(ORIGIN)?;
    origins.iter().any(|known| known == "*" || known.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

/// The answer to a browser that asks beforehand.
#[must_use]
pub fn preflight(origin: &Option<HeaderValue>, request: &ServiceRequest) -> Option<HttpResponse> {
    let asks = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    (asks && origin.is_some()).then(|| {
        HttpResponse::NoContent()
            .insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS))
            .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, HEADERS))
            .insert_header((ACCESS_CONTROL_MAX_AGE, "600"))
            .finish()
    })
}

/// Lets the browser hand the answer to its page.
pub fn mark(headers: &mut HeaderMap, origin: &HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_calls_only_when_it_is_named() {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, HeaderValue::from_static("https://a.example"));
        let may = |origins: &[&str]| {
            allowed(&origins.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>(), &headers).is_some()
        };

        assert!(!may(&[]), "closed by default");
        assert!(!may(&["https://b.example"]));
        assert!(may(&["https://b.example", "https://a.example"]));
        assert!(may(&["*"]));
        assert!(allowed(&["*".to_owned()], &HeaderMap::new()).is_none());
    }
}
