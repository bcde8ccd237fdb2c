//! What can be read with GET: models, one model, its endpoints, the key, the credits.
//!
//! # Deliberately absent
//!
//! Queries: `offset`, `limit` and `output_modalities` are ignored, everything is on the first page.

use serde_json::{Value, json};

/// The body for a path below the base, without its query; `None` where there is nothing.
pub(crate) fn body(path: &str) -> Option<Value> {
    match path {
        "/models" => Some(list(models())),
        "/embeddings/models" => Some(list(vec![embedding_model()])),
        "/key" => Some(key()),
        "/credits" => Some(json!({ "data": { "total_credits": 100.0, "total_usage": 12.5 } })),
        _ => one(path),
    }
}

fn list(models: Vec<Value>) -> Value {
    let count = models.len();
    json!({ "data": models, "total_count": count, "links": { "next": null } })
}

/// `/model/{author}/{slug}` and `/models/{author}/{slug}/endpoints`.
fn one(path: &str) -> Option<Value> {
    if let Some(id) = path.strip_prefix("/model/") {
        return find(id).map(|model| json!({ "data": model }));
    }
    let id = path.strip_prefix("/models/")?.strip_suffix("/endpoints")?;
    find(id).map(|model| json!({ "data": endpoints(&model) }))
}

fn find(id: &str) -> Option<Value> {
    models().into_iter().find(|model| model.get("id").and_then(Value::as_str) == Some(id))
}

fn models() -> Vec<Value> {
    vec![
        text_model("standin/ok", &json!({ "prompt": "0.000001", "completion": "0.000002" })),
        text_model("standin/echo", &json!({ "prompt": "0.000001", "completion": "0.000002" })),
        text_model("standin/free:free", &json!({ "prompt": "0", "completion": "0" })),
        text_model("standin/priced", &all_prices()),
        text_model("standin/tools", &json!({ "prompt": "0.0000025", "completion": "0.00001", "request": "0.005" })),
        embedding_model(),
    ]
}

fn all_prices() -> Value {
    json!({
        "prompt": "0.000003",
        "completion": "0.000015",
        "request": "0",
        "image": "0.0048",
        "web_search": "0.01",
        "internal_reasoning": "0",
        "input_cache_read": "0.0000003",
        "input_cache_write": "0.00000375",
        "discount": 0,
        "overrides": [{ "min_context": 200_000, "prompt": "0.000006", "completion": "0.0000225" }],
    })
}

fn text_model(id: &str, pricing: &Value) -> Value {
    model(id, "text", &["tools", "tool_choice", "reasoning", "max_tokens", "temperature"], pricing)
}

fn embedding_model() -> Value {
    model("standin/embed", "embeddings", &[], &json!({ "prompt": "0.00000002", "completion": "0" }))
}

fn model(id: &str, output: &str, parameters: &[&str], pricing: &Value) -> Value {
    json!({
        "id": id,
        "canonical_slug": id.split(':').next(),
        "name": format!("Stand-in: {id}"),
        "created": 1_750_000_000,
        "description": "Answers without thinking.",
        "context_length": 128_000,
        "architecture": {
            "modality": format!("text->{output}"),
            "input_modalities": ["text"],
            "output_modalities": [output],
            "tokenizer": "Other",
            "instruct_type": null,
        },
        "pricing": pricing,
        "top_provider": { "context_length": 128_000, "max_completion_tokens": 16_384, "is_moderated": false },
        "supported_parameters": parameters,
        "per_request_limits": null,
        "links": { "details": format!("/api/v1/models/{id}/endpoints") },
    })
}

fn endpoints(model: &Value) -> Value {
    json!({
        "id": model.get("id"),
        "name": model.get("name"),
        "created": model.get("created"),
        "architecture": model.get("architecture"),
        "endpoints": [{
            "name": "StandIn",
            "provider_name": "StandIn",
            "tag": "standin",
            "context_length": model.get("context_length"),
            "pricing": model.get("pricing"),
            "supported_parameters": model.get("supported_parameters"),
            "status": 0,
            "uptime_last_30m": 100,
        }],
    })
}

fn key() -> Value {
    json!({
        "data": {
            "label": "sk-or-v1-sta...din",
            "limit": 100.0,
            "limit_remaining": 87.5,
            "limit_reset": null,
            "usage": 12.5,
            "usage_daily": 0.5,
            "usage_weekly": 2.5,
            "usage_monthly": 12.5,
            "byok_usage": 0,
            "is_free_tier": false,
            "expires_at": null,
        },
    })
}
