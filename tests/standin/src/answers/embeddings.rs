//! Embeddings: a vector for each input that depends on nothing but the input.
//!
//! Likeness means nothing here: two inputs share a vector if they are the same, and that is all.

use serde_json::{Value, json};

/// Numbers in a vector, unless the request wants another count.
const DIMS: usize = 8;
/// The most numbers a request can want.
const MOST_DIMS: usize = 4096;

/// The answer to `body`, the request as it came; without usage if `counted` is false.
pub(crate) fn object(id: &str, model: &str, body: &Value, counted: bool) -> Value {
    let inputs = inputs(body.get("input").unwrap_or(&Value::Null));
    let dims = body.get("dimensions").and_then(Value::as_u64).and_then(|dims| usize::try_from(dims).ok());
    let dims = dims.unwrap_or(DIMS).clamp(1, MOST_DIMS);
    let packed = body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| json!({ "object": "embedding", "index": index, "embedding": shown(input, dims, packed) }))
        .collect();
    let mut object = json!({ "id": id, "object": "list", "model": model, "data": data });
    if counted && let Some(fields) = object.as_object_mut() {
        fields.insert("usage".to_owned(), usage(&inputs));
    }
    object
}

/// One text for each vector that is wanted. A list of numbers is one input, made of tokens.
fn inputs(input: &Value) -> Vec<String> {
    match input {
        Value::Array(items) if !items.iter().all(Value::is_number) => items.iter().map(as_text).collect(),
        one => vec![as_text(one)],
    }
}

fn as_text(input: &Value) -> String {
    input.as_str().map_or_else(|| input.to_string(), str::to_owned)
}

/// A token for each word, and a price of 0.00000002 for each token.
fn usage(inputs: &[String]) -> Value {
    let tokens: usize = inputs.iter().map(|input| input.split_whitespace().count()).sum();
    let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
    json!({ "prompt_tokens": tokens, "total_tokens": tokens, "cost": f64::from(tokens) * 2.0 / 1e8 })
}

fn shown(input: &str, dims: usize, packed: bool) -> Value {
    let vector = vector(input, dims);
    if !packed {
        return json!(vector);
    }
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    json!(base64(&bytes))
}

/// A vector of length 1.
fn vector(input: &str, dims: usize) -> Vec<f32> {
    let mut state = hash(input.as_bytes());
    let values: Vec<f32> = (0..dims).map(|_| draw(&mut state)).collect();
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 { values.iter().map(|value| value / length).collect() } else { values }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The next number of SplitMix64, within ±1.
fn draw(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let [high, low, ..] = (mixed ^ (mixed >> 31)).to_be_bytes();
    f32::from(u16::from_be_bytes([high, low])) / 32_767.5 - 1.0
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = ALPHABET.get((bits >> (18 - 6 * place) & 63) as usize).copied().unwrap_or(b'=');
            text.push(if place > group.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads_every_length() {
        for (bytes, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }

    #[test]
    fn a_vector_depends_on_its_input_alone() {
        let (one, again, other) = (vector("a cat", 8), vector("a cat", 8), vector("a dog", 8));

        assert_eq!(one, again);
        assert_ne!(one, other);
        let length: f32 = one.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }

    #[test]
    fn every_form_of_input_is_as_many_vectors_as_it_should_be() {
        let cases = [(json!("one"), 1), (json!(["one", "two"]), 2), (json!([1, 2, 3]), 1), (json!([[1, 2], [3]]), 2)];
        for (input, expected) in cases {
            assert_eq!(inputs(&input).len(), expected, "{input}");
        }
    }
}
