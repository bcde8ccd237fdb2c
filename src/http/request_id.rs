//! The id of a request: the caller's own if it sent a sane one, else a new `UUIDv7`.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest, dev::ServiceRequest};
use uuid::Uuid;

/// The header that carries it, there and back.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters that an id may have at most.
const LONGEST: usize = 128;

/// The id for a request with these headers.
#[must_use]
pub fn of(headers: &HeaderMap) -> HeaderValue {
    headers.get(&X_REQUEST_ID).filter(|id| is_sane(id.as_bytes())).cloned().unwrap_or_else(fresh)
}

/// The id of a request that came through the edge.
#[must_use]
pub fn current(request: &HttpRequest) -> String {
    let all = request.extensions();
    all.get::<Current>().and_then(|id| id.0.to_str().ok()).unwrap_or_default().to_owned()
}

/// Lets [`current`] know the id of a request.
pub fn note(request: &ServiceRequest, id: HeaderValue) {
    request.extensions_mut().insert(Current(id));
}

struct Current(HeaderValue);

fn fresh() -> HeaderValue {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = Uuid::now_v7().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown"))
}

/// What can stand in a header and in a log line without a second thought.
fn is_sane(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echoed(id: &[u8]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(id).unwrap());
        of(&headers).as_bytes() == id
    }

    #[test]
    fn only_a_sane_id_is_echoed() {
        assert!(echoed(b"abc-1.2:3_4"));
        assert!(echoed(&[b'a'; 128]));
        for strange in [&b"a b"[..], b"", b"a\tb", "\u{e4}".as_bytes(), b"a\"b", &[b'a'; 129]] {
            assert!(!echoed(strange), "{strange:?}");
        }
    }

    #[test]
    fn a_new_id_is_a_sane_one() {
        assert!(is_sane(fresh().as_bytes()));
        assert_ne!(fresh(), fresh());
    }
}
