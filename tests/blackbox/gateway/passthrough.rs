//! What passes: the same bytes, both ways, and of the headers only those that may.

use super::*;

/// A body as no serialiser would write it: odd spaces, unknown fields, numbers with zeros at their end.
const ODD: &str = r#"{ "messages":[ {"content" : "Say \u0068ello.","role":"user"} ] ,"model":"standin/ok", "temperature":0.70,
  "provider":{"order":["a","b"],"zdr":true}, "x_unknown" : [1.0, 2e3,null], "models":["standin/ok"] }"#;

#[test]
fn a_body_reaches_the_upstream_byte_for_byte() {
    let pair = Pair::start();

    let answer = pair.client().raw("POST", "/v1/chat/completions", ODD);

    answer.done();
    let seen = pair.upstream.last().unwrap();
    assert_eq!(std::str::from_utf8(&seen.body).unwrap(), ODD);
}

#[test]
fn an_alias_changes_the_model_and_nothing_else() {
    let pair = Pair::with(&[("MODEL_ALIASES", "fast=standin/ok")]);
    let body = ODD.replace("\"model\":\"standin/ok\"", "\"model\":\"fast\"");

    pair.client().raw("POST", "/v1/chat/completions", body).done();

    let seen = pair.upstream.last().unwrap();
    let text = std::str::from_utf8(&seen.body).unwrap();
    assert_eq!(seen.json()["model"], "standin/ok");
    for kept in ["0.70", "[1.0, 2e3,null]", r#""Say \u0068ello.""#, r#"{"order":["a","b"],"zdr":true}"#] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    assert_eq!(pair.row("standin/ok")["model"], "standin/ok", "the ledger knows the model by its name");
}

#[test]
fn a_second_model_in_the_same_body_is_not_smuggled_past_the_lists() {
    let pair = Pair::start();
    let key = pair.server.new_key(&json!({"workspace_id": "w", "name": "n", "model_allowlist": ["standin/ok"]}));
    let client = pair.server.with_key(key["key"].as_str().unwrap());

    let refused =
        client.raw("POST", "/v1/chat/completions", r#"{"model":"standin/ok","model":"standin/echo","messages":[]}"#);
    let taken =
        client.raw("POST", "/v1/chat/completions", r#"{"model":"standin/echo","model":"standin/ok","messages":[]}"#);

    refused.refused(403, "model_not_allowed");
    taken.done();
    let seen = pair.upstream.last().unwrap();
    assert_eq!(std::str::from_utf8(&seen.body).unwrap().matches("model").count(), 1, "one model goes out");
}

#[test]
fn an_answer_comes_back_byte_for_byte_however_it_arrives() {
    let pair = Pair::start();
    // The stand-in counts its generations; all else of two answers is the same.
    let plain = |answer: &Answer| {
        let text = answer.text();
        let text = text.replace("\r\n", "\n");
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find("gen-") {
            out.push_str(&rest[..at]);
            out.push_str("gen-N");
            rest = &rest[at + 14..];
        }
        out.push_str(rest);
        regex_free_created(&out)
    };
    let direct = Client::new(pair.upstream.url(), Some(UPSTREAM_KEY.to_owned()));
    for model in [
        "standin/ok",
        "standin/tools",
        "standin/reasoning",
        "standin/comments",
        "standin/pieces-1",
        "standin/crlf",
        "standin/usage-with-choices",
    ] {
        for stream in [false, true] {
            let body = ask(model, stream);
            let expected = plain(&direct.post("/chat/completions", &body));

            let got = plain(&pair.client().post("/v1/chat/completions", &body));

            assert_eq!(got, expected, "{model}, stream: {stream}");
        }
    }
}

/// Without the second in which an answer was made.
fn regex_free_created(text: &str) -> String {
    let mut parts = text.split("\"created\":");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("\"created\":_");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

#[test]
fn headers_pass_that_openrouter_knows_and_secrets_do_not() {
    let pair = Pair::start();
    let request = pair.client().request("POST", "/v1/chat/completions").json(&ask("standin/ok", false));
    let request = request
        .header("x-openrouter-title", "My app")
        .header("http-referer", "https://app.example")
        .header("cookie", "admin_token=canary")
        .header("x-forwarded-for", "203.0.113.7")
        .header("accept-encoding", "br, gzip")
        .header("x-cmg-memory", "off");

    let answer = Client::send(request);

    answer.done();
    let seen = pair.upstream.last().unwrap();
    assert_eq!(seen.header("x-openrouter-title"), Some("My app"));
    assert_eq!(seen.header("http-referer"), Some("https://app.example"));
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {UPSTREAM_KEY}").as_str()));
    for never in ["cookie", "x-forwarded-for", "x-cmg-memory"] {
        assert_eq!(seen.header(never), None, "{never}");
    }
    assert_ne!(seen.header("accept-encoding"), Some("br, gzip"), "nothing is asked for that could not be read");
    assert!(answer.header("x-generation-id").is_some(), "{:?}", answer.headers);
    for never in ["set-cookie", "alt-svc"] {
        assert_eq!(answer.header(never), None, "{never} of the upstream does not pass");
    }
}

#[test]
fn the_apps_name_stands_where_a_caller_sends_none() {
    let pair = Pair::with(&[("APP_TITLE", "Ours")]);

    pair.chat("standin/ok").done();
    let named = pair.client().request("POST", "/v1/chat/completions").header("x-openrouter-title", "Theirs");
    Client::send(named.json(&ask("standin/ok", false))).done();

    let titles: Vec<_> = pair
        .upstream
        .requests()
        .iter()
        .filter_map(|seen| seen.header("x-openrouter-title").map(str::to_owned))
        .collect();
    assert!(titles.ends_with(&["Ours".to_owned(), "Theirs".to_owned()]), "{titles:?}");
}

#[test]
fn the_metrics_show_what_the_gateway_does() {
    let pair = Pair::start();
    pair.chat("standin/ok").done();
    pair.chat("standin/400");
    pair.rows("standin/400", 1);

    let text = pair.server.anonymous().get("/metrics").text();

    for wanted in [
        "gateway_overhead_seconds_count 1",
        "gateway_calls_total{code=\"\",ending=\"ok\"} 1",
        "gateway_calls_total{code=\"upstream_error\",ending=\"upstream_error\"} 1",
        "gateway_breaker_state{model=\"openrouter/standin/ok\"} 0",
        "cmg_http_request_duration_seconds_count{method=\"POST\",route=\"/v1/chat/completions\",status=\"2xx\"} 1",
    ] {
        assert!(text.contains(wanted), "{wanted} in\n{text}");
    }
    let off = Server::start_with(&[("METRICS_ENABLED", "false")]);
    off.anonymous().get("/metrics").refused(404, "not_found");
}

#[test]
fn other_routes_pass_under_the_same_gate() {
    let pair = Pair::start();
    for (path, at) in [
        ("/v1/responses", "/responses"),
        ("/v1/messages", "/messages"),
        ("/v1/rerank", "/rerank"),
        ("/v1/embeddings", "/embeddings"),
    ] {
        let body = json!({"model": "standin/ok", "input": "hello", "messages": [{"role": "user", "content": "hi"}]});

        let answer = pair.client().post(path, &body);

        answer.done();
        assert!(pair.upstream.last().unwrap().path.ends_with(at), "{path}");
    }
    let rows = pair.rows("standin/ok", 4);
    assert!(rows.iter().all(|row| row["prompt_tokens"].as_u64().unwrap() > 0), "every route is metered: {rows:?}");
}

#[test]
fn anthropics_key_header_opens_too() {
    let pair = Pair::start();
    let body = json!({"model": "standin/ok", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]});
    let request = pair.server.anonymous().request("POST", "/v1/messages").json(&body);

    let answer = Client::send(request.header("x-api-key", crate::support::server::API_KEY));

    answer.done();
    assert_eq!(pair.upstream.last().unwrap().header("x-api-key"), None, "our key stays here");
}

#[test]
fn another_upstream_is_chosen_by_its_prefix() {
    let other = StandIn::start();
    let upstreams = format!("local={}", other.url());
    let pair = Pair::with(&[("UPSTREAMS", &upstreams), ("UPSTREAM_KEYS", "local=local-key")]);

    pair.chat("local/standin/ok").done();

    let seen = other.last().unwrap();
    assert_eq!(seen.json()["model"], "standin/ok", "the prefix is ours");
    assert_eq!(seen.header("authorization"), Some("Bearer local-key"));
    assert_eq!(pair.calls(), 0);
    assert_eq!(pair.row("local/standin/ok")["upstream"], "local");
}

#[test]
fn without_a_key_memory_works_and_the_gateway_says_what_to_set() {
    let server = Server::start();

    let refused = server.client().post("/v1/chat/completions", &ask("openai/gpt-5", false));

    let error = refused.refused(503, "upstream_not_configured");
    assert!(error["message"].as_str().unwrap().contains("OPENROUTER_API_KEY"), "{error}");
    server.client().ingest("t", json!({"chat": "User: The database that we use is Postgres."}));
    assert!(!server.client().find("t", "Which database do we use?").is_empty());
}
