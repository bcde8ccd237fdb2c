//! Errors of an upstream keep their type, and never carry its credentials.

use super::*;

#[test]
fn an_upstreams_error_keeps_its_status_and_its_fields() {
    let pair = Pair::with(&[("GATEWAY_ATTEMPTS", "1")]);
    for (model, status, kind) in [
        ("standin/400", 400, "invalid_request_error"),
        ("standin/402", 402, "quota_exceeded"),
        ("standin/403", 403, "permission_error"),
        ("standin/404", 404, "not_found_error"),
        ("standin/413", 413, "invalid_request_error"),
        ("standin/422", 422, "invalid_request_error"),
        ("standin/429", 429, "rate_limit_error"),
        ("standin/500", 500, "upstream_error"),
        ("standin/529", 529, "upstream_error"),
    ] {
        let answer = pair.chat(model);

        assert_eq!(answer.status, status, "{answer}");
        let error = &answer.value()["error"];
        assert_eq!(error["type"], kind, "{answer}");
        assert!(error["metadata"]["error_type"].is_string(), "{answer}");
        assert_eq!(error["request_id"].as_str(), answer.header("x-request-id"), "{answer}");
        assert_eq!(pair.row(model)["ending"], "upstream_error", "{model}");
    }
}

#[test]
fn a_refused_credential_of_ours_is_not_the_callers_mistake() {
    let pair = Pair::start();

    let answer = pair.chat("standin/401");

    assert_eq!(answer.status, 502, "{answer}");
    assert!(!answer.text().contains(UPSTREAM_KEY));
}

#[test]
fn what_moderation_and_availability_say_comes_through() {
    let pair = Pair::with(&[("GATEWAY_ATTEMPTS", "1")]);

    let moderated = pair.chat("standin/moderation");
    let busy = pair.chat("standin/availability");

    assert!(moderated.value()["error"]["metadata"]["reasons"].is_array(), "{moderated}");
    assert!(busy.value()["error"]["availability"]["retryable"].is_boolean(), "{busy}");
}

#[test]
fn an_error_inside_a_200_is_an_error() {
    let pair = Pair::with(&[("GATEWAY_ATTEMPTS", "1")]);

    for model in ["standin/error-200", "standin/html-200"] {
        let answer = pair.chat(model);

        assert!(answer.status >= 400, "{model}: {answer}");
        assert_ne!(pair.row(model)["ending"], "ok", "{model}");
    }
}

#[test]
fn the_upstreams_key_is_nowhere() {
    let mut pair = Pair::with(&[("LOG_LEVEL", "debug"), ("GATEWAY_ATTEMPTS", "1"), ("GATEWAY_FIRST_BYTE_MS", "300")]);
    let mut seen = String::new();
    for model in ["standin/401", "standin/html", "standin/hang", "standin/cut", "standin/ok"] {
        for stream in [false, true] {
            let answer = pair.client().post("/v1/chat/completions", &ask(model, stream));
            seen.push_str(&answer.text());
            seen.push_str(&format!("{:?}", answer.headers));
        }
    }
    let admin = pair.server.admin();
    for path in ["/admin/api/usage", "/admin/api/usage/requests", "/admin/api/keys", "/health/detailed", "/v1/models"] {
        seen.push_str(&admin.get(path).text());
    }
    seen.push_str(&pair.server.run(&["config", "show"]).said());
    pair.server.stop();
    seen.push_str(&pair.server.log());

    assert!(!seen.contains(UPSTREAM_KEY), "the key at the upstream came out");
    assert!(!seen.contains("Say hello."), "what a user wrote is in the log or in an error");
}

#[test]
fn a_body_that_is_no_object_is_refused_before_anything_is_sent() {
    let pair = Pair::start();
    for (body, code) in [("[1]", "invalid_json"), ("{\"model\":", "invalid_json"), ("{\"model\":5}", "invalid_value")] {
        pair.client().raw("POST", "/v1/chat/completions", body).refused(400, code);
    }
    pair.client().raw("POST", "/v1/chat/completions", r#"{"messages":[]}"#).refused(400, "missing_field");

    assert_eq!(pair.calls(), 0);
}
