//! What goes over the wire: one struct for every body, with its checks and nothing else.
//!
//! Answers are built field by field from explicit structs, so that nothing inside leaks by accident.

pub mod chat;
pub mod embedding;
pub mod feedback;
pub mod ingest;
pub mod item;
pub mod key;
pub mod materials;
pub mod recall;
pub mod thread;
pub mod transfer;
pub mod usage;
pub mod workingset;

use crate::http::error::ApiError;
use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use serde::Serialize;
use std::time::Instant;

/// A value as JSON bytes.
///
/// # Errors
///
/// 500, which no value of ours causes.
pub fn bytes(value: &impl Serialize) -> Result<Bytes, ApiError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|_| ApiError::internal())
}

/// 200 with a value as JSON.
///
/// # Errors
///
/// 500, which no value of ours causes.
pub fn json(value: &impl Serialize) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(bytes(value)?))
}

/// Microseconds since `begun`.
#[must_use]
pub fn took_us(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// A number of memory with four decimals: more would only be noise.
#[must_use]
pub fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}
