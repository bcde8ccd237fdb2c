//! The catalogue: fetched, kept, served while the upstream is down; and the server's own embedder.

use super::*;

fn fetched(pair: &Pair) -> Value {
    pair.server.admin().post("/admin/models/fetch", &json!({})).done()
}

#[test]
fn the_catalogue_is_served_with_its_prices_as_decimals() {
    let pair = Pair::start();
    let report = fetched(&pair);

    let list = pair.client().get("/v1/models").done();

    assert_eq!(list["object"], "list");
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"standin/ok") && ids.contains(&"static-minilm-256"), "{ids:?}");
    assert_eq!(report["models"].as_u64().unwrap() + 1, list["total_count"].as_u64().unwrap());
    let one = pair.client().get("/v1/models/standin/ok").done();
    assert_eq!(
        (one["id"].as_str(), one["pricing"]["prompt"].as_str()),
        (Some("standin/ok"), Some("0.000001")),
        "{one}"
    );
    assert_eq!(pair.client().get("/v1/models/standin%2Fok").done(), one);
    pair.client().get("/v1/models/nobody/nothing").refused(404, "model_not_found");
    let page = pair.client().get("/v1/models?offset=1&limit=1").done();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    pair.client().get("/v1/models?limit=0").refused(400, "invalid_value");
}

#[test]
fn the_catalogue_outlives_the_upstream_and_a_restart() {
    let Pair { upstream, mut server } = Pair::start();
    let pair_url = upstream.url();
    server.admin().post("/admin/models/fetch", &json!({})).done();
    drop(upstream);
    assert!(!pair_url.is_empty());

    server.restart();

    assert_eq!(server.client().get("/v1/models/standin/ok").done()["id"], "standin/ok");
    let failed = server.admin().post("/admin/models/fetch", &json!({}));
    failed.refused(502, "upstream_error");
    assert_eq!(server.client().get("/v1/models/standin/ok").status, 200, "the last good one stays");
}

#[test]
fn the_built_in_embedder_answers_without_an_upstream() {
    let server = Server::start();
    let body = json!({"model": "static-minilm-256", "input": ["a red boat", "a red ship", "quarterly tax"]});

    let answer = server.client().post("/v1/embeddings", &body).done();

    let vector = |at: usize| -> Vec<f64> {
        answer["data"][at]["embedding"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let cosine = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (boat, ship, tax) = (vector(0), vector(1), vector(2));
    assert_eq!(boat.len(), 256);
    assert!((cosine(&boat, &boat) - 1.0).abs() < 1e-3, "vectors have length 1");
    assert!(cosine(&boat, &ship) > cosine(&boat, &tax) + 0.2);
    assert!(answer["usage"]["prompt_tokens"].as_u64().unwrap() > 0);
    let packed = server.client().post(
        "/v1/embeddings",
        &json!({"model": "static-minilm-256", "input": "a red boat", "encoding_format": "base64"}),
    );
    assert!(packed.done()["data"][0]["embedding"].is_string());
    for (body, param) in [
        (json!({"model": "static-minilm-256", "input": []}), "input"),
        (json!({"model": "static-minilm-256", "input": [[1, 2, 3]]}), "input"),
        (json!({"model": "static-minilm-256", "input": "x", "dimensions": 8}), "dimensions"),
        (json!({"model": "static-minilm-256", "input": "x", "encoding_format": "hex"}), "encoding_format"),
    ] {
        let error = server.client().post("/v1/embeddings", &body).refused(400, "invalid_value");
        assert_eq!(error["param"], param);
    }
}

#[test]
fn the_built_in_embedder_repeats_its_answer_and_obeys_the_keys_lists() {
    let server = Server::start_with(&[("MODEL_ALIASES", "small=static-minilm-256")]);
    let send = |text: &str| {
        let request = server.client().request("POST", "/v1/embeddings").header("idempotency-key", "e1");
        Client::send(request.json(&json!({"model": "small", "input": text})))
    };

    let (first, again, other) = (send("a cat"), send("a cat"), send("a dog"));

    first.done();
    assert_eq!((again.body.clone(), again.header("idempotent-replayed")), (first.body.clone(), Some("true")));
    other.refused(409, "idempotency_mismatch");
    let key = server.new_key(&json!({"workspace_id": "w", "name": "n", "model_allowlist": ["a/*"]}));
    let client = server.with_key(key["key"].as_str().unwrap());
    client.post("/v1/embeddings", &json!({"model": "small", "input": "x"})).refused(403, "model_not_allowed");
}

#[test]
fn tokens_are_priced_by_the_catalogue_where_the_upstream_tells_no_cost() {
    let pair = Pair::start();
    fetched(&pair);

    pair.stream("standin/ok");
    pair.client()
        .post(
            "/v1/messages",
            &json!({"model": "standin/ok", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
        )
        .done();

    let rows = pair.rows("standin/ok", 2);
    let kinds: Vec<&str> = rows.iter().map(|row| row["cost_kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"exact"), "{rows:?}");
    assert!(
        rows.iter().all(|row| row["cost_usd"] == "0.00014"),
        "told or priced, 100 and 20 tokens cost the same: {rows:?}"
    );
}
