//! Who is calling: from the `Authorization` header to a workspace and what may be done in it.
//!
//! Each policy is a type, and the first argument of every handler is a policy: a route without one
//! does not compile ([`Policy`]). [`Reader`] and [`Writer`] are the only way to a workspace.

use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::rate_headers;
use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use cmg_actors::clock;
use cmg_actors::{Directory, KeyScope};
use std::future::{Ready, ready};
use std::ops::Deref;
use subtle::ConstantTimeEq;

/// A caller with a valid key.
pub struct Caller {
    /// The key, and the only workspace that it reaches.
    pub known: cmg_actors::Caller,
    /// The way to its memory.
    pub directory: Directory,
}

impl Deref for Caller {
    type Target = cmg_actors::Caller;
    fn deref(&self) -> &cmg_actors::Caller {
        &self.known
    }
}

/// May recall and list.
pub struct Reader(Caller);
/// May add, change and delete.
pub struct Writer(Caller);
/// Holds the admin token.
pub struct Admin {
    /// The way to the keys.
    pub directory: Directory,
}
/// Anybody.
pub struct Open;

/// What a route asks of its caller.
pub trait Policy: FromRequest {
    /// Its name in the route table.
    const NAME: &'static str;
}

impl Policy for Reader {
    const NAME: &'static str = "Reader";
}
impl Policy for Writer {
    const NAME: &'static str = "Writer";
}
impl Policy for Admin {
    const NAME: &'static str = "Admin";
}
impl Policy for Open {
    const NAME: &'static str = "Open";
}

impl Deref for Reader {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl Deref for Writer {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl FromRequest for Reader {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request, KeyScope::Read).map(Self))
    }
}

impl FromRequest for Writer {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request, KeyScope::Write).map(Self))
    }
}

impl FromRequest for Admin {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admin(request))
    }
}

impl FromRequest for Open {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;
    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self))
    }
}

fn app(request: &HttpRequest) -> Result<&Data<App>, ApiError> {
    request.app_data::<Data<App>>().ok_or_else(ApiError::internal)
}

fn caller(request: &HttpRequest, needed: KeyScope) -> Result<Caller, ApiError> {
    let directory = app(request)?.gate.directory()?;
    let token = bearer(request.headers()).ok_or_else(ApiError::missing_api_key)?;
    let known = directory.keys().verify(token, clock::now())?;
    let rate = directory.gateway().request(&known.key.id, &known.key.limits);
    rate_headers::note(request, rate.as_ref());
    rate?;
    if !known.key.scopes.contains(&needed) {
        let name = match needed {
            KeyScope::Read => "read",
            KeyScope::Write => "write",
        };
        return Err(ApiError::insufficient_scope(name));
    }
    Ok(Caller { known, directory: directory.clone() })
}

fn admin(request: &HttpRequest) -> Result<Admin, ApiError> {
    let app = app(request)?;
    let token = app.config.admin.token.as_ref().filter(|token| !token.is_empty()).ok_or_else(ApiError::admin_is_off)?;
    let sent = bearer(request.headers()).ok_or_else(ApiError::admin_token_required)?;
    if !is_same(sent, token.expose()) {
        return Err(ApiError::admin_token_required());
    }
    Ok(Admin { directory: app.gate.directory()?.clone() })
}

/// Compares in a time that says nothing about where they differ, nor about their lengths.
fn is_same(sent: &str, token: &str) -> bool {
    let (sent, token) = (blake3::hash(sent.as_bytes()), blake3::hash(token.as_bytes()));
    bool::from(sent.as_bytes().ct_eq(token.as_bytes()))
}

/// The token of `Authorization: Bearer …`, the scheme in any case, as the standard has it; or of `x-api-key`, where
/// Anthropic's clients put it.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    if !headers.contains_key(AUTHORIZATION) {
        return headers.get("x-api-key")?.to_str().ok().map(str::trim).filter(|token| !token.is_empty());
    }
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn a_bearer_token_is_read_and_nothing_else() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(text));
            bearer(&headers).map(str::to_owned)
        };

        assert_eq!(read("Bearer cmg_a").as_deref(), Some("cmg_a"));
        assert_eq!(read("bearer  cmg_a").as_deref(), Some("cmg_a"));
        for wrong in ["", "Bearer", "Bearer ", "Basic cmg_a", "cmg_a"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_admin_token_is_compared_whole() {
        assert!(is_same("secret", "secret"));
        assert!(!is_same("secre", "secret") && !is_same("secrett", "secret") && !is_same("", "secret"));
    }
}
