//! `/v1/embeddings` for the built-in embedder, in `OpenAI`'s form.

use crate::http::error::ApiError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cmg_memory::embed::{DIMS, Embedder};
use cmg_memory::tokens;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Texts of one request at most.
const MOST_INPUTS: usize = 2_048;

/// What is to be embedded. For models of an upstream every other field passes through.
#[derive(Debug, Deserialize, ToSchema)]
pub struct EmbeddingsBody {
    /// The model.
    pub model: String,
    /// A text or a list of texts.
    #[schema(value_type = Object)]
    pub input: Input,
    /// `float` (when left out) or `base64`: the numbers as little-endian f32.
    pub encoding_format: Option<String>,
    /// The vectors' length; the built-in embedder has one.
    pub dimensions: Option<u32>,
}

/// One text or many.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Input {
    /// One.
    One(String),
    /// Many.
    Many(Vec<String>),
    /// Anything else, which upstreams may understand.
    Other(serde_json::Value),
}

/// The vectors.
#[derive(Debug, Serialize)]
pub struct EmbeddingsAnswer {
    object: &'static str,
    data: Vec<Row>,
    model: String,
    usage: Used,
}

#[derive(Debug, Serialize)]
struct Row {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Debug, Serialize)]
struct Used {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// The vectors of the texts, each of length 1.
///
/// # Errors
///
/// 400 that names the field.
pub fn answer(body: &EmbeddingsBody, embedder: &dyn Embedder) -> Result<EmbeddingsAnswer, ApiError> {
    let base64 = match body.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(crate::http::check::one_of("encoding_format", ["float", "base64"].into_iter())),
    };
    if body.dimensions.is_some_and(|dims| usize::try_from(dims) != Ok(DIMS)) {
        let message = format!("the built-in embedder has {DIMS} dimensions: leave `dimensions` out");
        return Err(ApiError::invalid_value("dimensions", message));
    }
    let texts: &[String] = match &body.input {
        Input::One(text) => std::slice::from_ref(text),
        Input::Many(texts) => texts,
        Input::Other(_) => {
            return Err(ApiError::invalid_value(
                "input",
                "the built-in embedder takes a text or a list of texts, and no token ids",
            ));
        }
    };
    if texts.is_empty() || texts.len() > MOST_INPUTS {
        return Err(ApiError::invalid_value("input", format!("`input` has 1 to {MOST_INPUTS} texts")));
    }
    let row = |(index, text): (usize, &String)| {
        let embedding = embedder.embed(text);
        let norm = embedding.norm();
        let floats: Vec<f32> = embedding.0.iter().map(|value| if norm > 0.0 { value / norm } else { 0.0 }).collect();
        let embedding = if base64 {
            let bytes: Vec<u8> = floats.iter().flat_map(|value| value.to_le_bytes()).collect();
            Vector::Base64(STANDARD.encode(bytes))
        } else {
            Vector::Floats(floats)
        };
        Row { object: "embedding", index, embedding }
    };
    let prompt_tokens = texts.iter().map(|text| u64::from(tokens::count(text))).sum();
    Ok(EmbeddingsAnswer {
        object: "list",
        data: texts.iter().enumerate().map(row).collect(),
        model: body.model.clone(),
        usage: Used { prompt_tokens, total_tokens: prompt_tokens },
    })
}
