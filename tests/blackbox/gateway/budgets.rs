//! Rates are 429 and say when; budgets are 402 and hold, however many calls come at once.

use super::*;

fn key(pair: &Pair, limits: &Value) -> Client {
    let mut request = json!({"workspace_id": "budget", "name": "limited"});
    for (name, value) in limits.as_object().unwrap() {
        request[name] = value.clone();
    }
    pair.server.with_key(pair.server.new_key(&request)["key"].as_str().unwrap())
}

/// A call that may cost $0.0002 at most by the catalogue and costs $0.00014.
fn bounded(model: &str) -> Value {
    json!({"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]})
}

#[test]
fn a_rate_is_a_429_with_all_its_headers() {
    let pair = Pair::start();
    let client = key(&pair, &json!({"rpm_limit": 2}));

    let answers: Vec<Answer> = (0..3).map(|_| client.post("/v1/chat/completions", &bounded("standin/ok"))).collect();

    assert_eq!(answers[0].header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(answers[0].header("x-ratelimit-remaining-requests"), Some("1"));
    assert!(answers[0].header("x-ratelimit-reset-requests").is_some());
    answers[2].refused(429, "rate_limited");
    let wait: u64 = answers[2].header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(answers[2].header("x-ratelimit-remaining-requests"), Some("0"));
    client.get("/v1/threads").refused(429, "rate_limited");
    pair.client().get("/v1/threads").done();
}

#[test]
fn the_upstreams_own_429_passes_with_its_retry_after() {
    let pair = Pair::with(&[("GATEWAY_ATTEMPTS", "1")]);

    let answer = pair.chat("standin/429");

    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")), "{answer}");
}

#[test]
fn a_spent_quota_of_tokens_is_a_402_that_says_when_it_is_new() {
    let pair = Pair::start();
    let client = key(&pair, &json!({"daily_quota_tokens": 150}));

    let first = client.post("/v1/chat/completions", &bounded("standin/ok"));
    let second = client.post("/v1/chat/completions", &bounded("standin/ok"));
    let third = client.post("/v1/chat/completions", &bounded("standin/ok"));

    first.done();
    assert_eq!(first.header("x-ratelimit-limit-tokens"), Some("150"));
    second.done();
    let error = third.refused(402, "quota_exceeded");
    assert!(error["message"].as_str().unwrap().contains("150 tokens"), "{error}");
    assert_eq!(third.header("x-ratelimit-remaining-tokens"), Some("0"), "{:?}", third.headers);
    assert_eq!(third.header("retry-after"), None, "a client must not wait for tomorrow");
}

#[test]
fn a_budget_survives_a_restart() {
    let mut pair = Pair::start();
    let client = key(&pair, &json!({"daily_budget_usd": "0.0002"}));
    client.post("/v1/chat/completions", &bounded("standin/ok")).done();
    client.post("/v1/chat/completions", &bounded("standin/ok")).done();
    pair.rows("standin/ok", 2);
    client.post("/v1/chat/completions", &bounded("standin/ok")).refused(402, "quota_exceeded");

    pair.server.restart();

    let key = pair.server.admin().get("/admin/api/keys").done();
    assert_eq!(
        key["data"].as_array().unwrap().iter().filter(|key| key["daily_budget_usd"] == "0.0002").count(),
        1,
        "{key}"
    );
    let client = client_again(&pair, &client);
    client.post("/v1/chat/completions", &bounded("standin/ok")).refused(402, "quota_exceeded");
}

/// The same key at the port that the server has now.
fn client_again(pair: &Pair, client: &Client) -> Client {
    pair.server.with_key(client.bearer().unwrap())
}

#[test]
fn many_calls_at_once_never_spend_more_than_the_budget_and_one_call() {
    let pair = Pair::start();
    // Room for ten calls of $0.00014; each may cost $0.0001 + what its prompt may take.
    let client = key(&pair, &json!({"daily_budget_usd": "0.0014"}));
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let one = || client.post("/v1/chat/completions", &bounded("standin/slow-50")).status;
        let all: Vec<_> = (0..60).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });

    let done = answers.iter().filter(|status| **status == 200).count();
    assert!(answers.iter().all(|status| matches!(status, 200 | 402 | 429)), "{answers:?}");
    assert!((1..=11).contains(&done), "{done} calls of $0.00014 on a budget of $0.0014");
    let health = wait_for("reservations to be gone", 20, || {
        let health = pair.server.anonymous().get("/health/detailed").done();
        (health["gateway"]["calls_under_way"] == 0).then_some(health)
    });
    assert_eq!(health["gateway"]["reserved_usd"], "0", "{health}");
}

#[test]
fn calls_under_way_are_counted_and_released() {
    let pair = Pair::start();
    let client = key(&pair, &json!({"max_concurrent": 1}));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let one = || client.post("/v1/chat/completions", &bounded("standin/slow-500")).status;
        let all: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });

    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    client.post("/v1/chat/completions", &bounded("standin/ok")).done();
}

#[test]
fn lists_and_default_models_of_a_key_hold() {
    let pair = Pair::start();
    let client = key(&pair, &json!({"model_allowlist": ["standin/o*"], "default_model": "standin/ok"}));

    client.post("/v1/chat/completions", &json!({"messages": []})).done();
    assert_eq!(pair.upstream.last().unwrap().json()["model"], "standin/ok");
    client.post("/v1/chat/completions", &ask("standin/echo", false)).refused(403, "model_not_allowed");
    client.post("/v1/responses", &json!({"model": "standin/echo", "input": "x"})).refused(403, "model_not_allowed");
    let fallback = json!({"model": "standin/ok", "models": ["standin/ok", "standin/echo"], "messages": []});
    client.post("/v1/chat/completions", &fallback).refused(403, "model_not_allowed");
    let long = json!({"model": "m".repeat(10_000), "messages": []});
    client.post("/v1/chat/completions", &long).refused(400, "invalid_value");
}

#[test]
fn a_rotated_key_keeps_its_limits_and_its_predecessor_opens_nothing() {
    let pair = Pair::start();
    let made = pair.server.new_key(&json!({"workspace_id": "w", "name": "n", "model_allowlist": ["standin/ok"]}));
    let path = format!("/admin/api/keys/{}/rotate", made["id"].as_str().unwrap());

    let rotated = pair.server.admin().post(&path, &json!({})).done();

    assert_eq!((&rotated["id"], &rotated["workspace_id"]), (&made["id"], &made["workspace_id"]));
    let (old, new) = (made["key"].as_str().unwrap(), rotated["key"].as_str().unwrap());
    pair.server.with_key(old).get("/v1/threads").refused(401, "invalid_api_key");
    let client = pair.server.with_key(new);
    client.post("/v1/chat/completions", &bounded("standin/ok")).done();
    client.post("/v1/chat/completions", &bounded("standin/echo")).refused(403, "model_not_allowed");
    pair.server.admin().post("/admin/api/keys/key_nobody/rotate", &json!({})).refused(404, "not_found");
}

#[test]
fn limits_that_make_no_sense_are_refused_by_name() {
    let server = Server::start();
    for (field, value) in
        [("daily_budget_usd", json!("two")), ("monthly_budget_usd", json!("-1")), ("rpm_limit", json!(-1))]
    {
        let answer = server.admin().post("/admin/api/keys", &json!({"workspace_id": "w", "name": "n", field: value}));
        let error = answer.refused(400, "invalid_value");
        assert_eq!(error["param"], field);
    }
}
