//! The other paths: other dialects, embeddings, the catalogue, the account.

use crate::client::{Client, End, Reply, chat_body};
use cmg_standin::StandIn;
use serde_json::{Value, json};

fn get(path: &str) -> Reply {
    Client::of(&StandIn::start()).ask("GET", path, "")
}

fn post(path: &str, body: &Value) -> Reply {
    Client::of(&StandIn::start()).ask("POST", path, &body.to_string())
}

#[test]
fn responses_answer_whole_and_in_events() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);
    let input = json!([{ "role": "user", "content": [{ "type": "input_text", "text": "say this" }] }]);

    let whole = client.ask("POST", "/responses", &json!({ "model": "standin/echo", "input": input }).to_string());
    let streamed = client.ask("POST", "/responses", &chat_body("ok", true));

    assert_eq!(whole.json()["output"][0]["content"][0]["text"], "say this");
    assert_eq!(whole.json()["usage"]["input_tokens"], 100);
    let events = streamed.events();
    assert_eq!(events.first().unwrap()["type"], "response.created");
    assert_eq!(events.last().unwrap()["type"], "response.completed");
    assert_eq!(events.last().unwrap()["response"]["usage"]["output_tokens"], 20);
    assert!(streamed.body.contains("event: response.output_text.delta\n"));
}

#[test]
fn a_response_without_finish_is_incomplete_and_still_counted() {
    let reply = post("/responses", &json!({ "model": "standin/no-finish", "stream": true, "input": "x" }));

    let last = reply.events().pop().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["usage"]["cost"], 0.000_14);
}

#[test]
fn messages_answer_whole_and_in_events() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);

    let whole = client.ask("POST", "/messages", &chat_body("cached", false));
    let streamed = client.ask("POST", "/messages", &chat_body("ok", true));

    assert_eq!(whole.json()["content"][0]["text"], "Hello from the stand-in.");
    assert_eq!(whole.json()["usage"]["cache_read_input_tokens"], 900);
    assert_eq!(whole.json()["usage"]["input_tokens"], 100, "without those of the cache");
    let events = streamed.events();
    assert_eq!(events.first().unwrap()["message"]["usage"]["input_tokens"], 100);
    assert_eq!(events[events.len() - 2]["usage"]["output_tokens"], 20);
    assert_eq!(events.last().unwrap()["type"], "message_stop");
}

#[test]
fn embeddings_are_the_same_for_the_same_input() {
    let reply = post("/embeddings", &json!({ "model": "standin/embed", "input": ["one two", "three", "one two"] }));

    let body = reply.json();
    let data = body["data"].as_array().unwrap();
    assert_eq!(data.len(), 3);
    assert_eq!(data[0]["embedding"].as_array().unwrap().len(), 8);
    assert_eq!(data[0]["embedding"], data[2]["embedding"]);
    assert_ne!(data[0]["embedding"], data[1]["embedding"]);
    assert_eq!(body["usage"]["prompt_tokens"], 5);
    assert_eq!(body["usage"]["cost"], 1e-7);
}

#[test]
fn embeddings_come_in_base64_and_in_other_lengths() {
    let packed = json!({ "model": "standin/embed", "input": "one", "encoding_format": "base64" });
    let longer = json!({ "model": "standin/embed", "input": [5, 6], "dimensions": 12 });

    let packed = post("/embeddings", &packed).json();
    let longer = post("/embeddings", &longer).json();

    let text = packed["data"][0]["embedding"].as_str().unwrap();
    assert_eq!(text.len(), 44, "32 bytes");
    assert!(text.ends_with('='));
    assert_eq!(longer["data"].as_array().unwrap().len(), 1, "tokens are one input");
    assert_eq!(longer["data"][0]["embedding"].as_array().unwrap().len(), 12);
}

#[test]
fn embeddings_misbehave_too() {
    let refused = post("/embeddings", &json!({ "model": "standin/529", "input": "x" }));
    let cut = post("/embeddings", &json!({ "model": "standin/cut", "input": "x" }));

    assert_eq!(refused.status, 529);
    assert_eq!(cut.end, End::Cut);
}

#[test]
fn any_other_post_says_what_came_and_its_usage() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);

    let rerank = client.ask("POST", "/rerank", "{\"model\":\"standin/ok\"}");
    let audio = client.ask("POST", "/audio/transcriptions", "--no json--");
    let failed = client.ask("POST", "/images", "{\"model\":\"standin/500\"}");

    assert_eq!(rerank.json()["path"], "/rerank");
    assert_eq!(rerank.json()["usage"]["cost"], 0.000_14);
    assert_eq!((audio.status, &audio.json()["body_bytes"]), (200, &json!(11)));
    assert_eq!(failed.status, 500);
}

#[test]
fn models_have_prices_as_decimal_texts() {
    let reply = get("/models?output_modalities=all");

    let models = reply.json()["data"].as_array().unwrap().clone();
    let of = |id: &str| models.iter().find(|model| model["id"] == id).unwrap().clone();
    assert_eq!(reply.json()["total_count"], models.len());
    assert_eq!(of("standin/ok")["pricing"], json!({ "prompt": "0.000001", "completion": "0.000002" }));
    assert_eq!(of("standin/free:free")["pricing"]["prompt"], "0");
    assert_eq!(of("standin/free:free")["canonical_slug"], "standin/free");
    assert_eq!(of("standin/priced")["pricing"]["input_cache_read"], "0.0000003");
    assert_eq!(of("standin/priced")["pricing"]["overrides"][0]["min_context"], 200_000);
    assert_eq!(of("standin/embed")["architecture"]["output_modalities"][0], "embeddings");
}

#[test]
fn every_model_of_the_catalogue_answers() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);
    let models = client.ask("GET", "/models", "").json()["data"].as_array().unwrap().clone();
    for model in models {
        let id = model["id"].as_str().unwrap();

        let reply = client.chat(id.strip_prefix("standin/").unwrap(), false);

        assert_eq!(reply.status, 200, "{id}");
    }
}

#[test]
fn one_model_and_its_endpoints_can_be_read() {
    assert_eq!(get("/model/standin/ok").json()["data"]["id"], "standin/ok");
    assert_eq!(get("/models/standin/ok/endpoints").json()["data"]["endpoints"][0]["provider_name"], "StandIn");
    assert_eq!(get("/model/standin/nothing").status, 404);
    assert_eq!(get("/models/standin/ok").status, 404, "as with OpenRouter");
}

#[test]
fn the_account_can_be_read() {
    assert_eq!(get("/key").json()["data"]["limit_remaining"], 87.5);
    assert_eq!(get("/credits").json()["data"]["total_credits"], 100.0);
    assert_eq!(get("/nothing").status, 404);
}

#[test]
fn a_generation_can_be_read_once_it_was_set() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);
    let before = client.ask("GET", "/generation?id=gen-0000000007", "");

    standin.generation("gen-0000000007", json!({ "id": "gen-0000000007", "total_cost": 0.5, "cancelled": true }));

    let after = client.ask("GET", "/generation?id=gen-0000000007", "");
    assert_eq!((before.status, after.status), (404, 200));
    assert_eq!(after.json()["data"]["total_cost"], 0.5);
}
