//! The ledger: one row for every request, whatever its end, and figures that say where they come from.

use super::*;

#[test]
fn an_answer_costs_what_the_upstream_says_whole_and_streamed() {
    let pair = Pair::start();
    for (model, stream) in [
        ("standin/ok", false),
        ("standin/usage-with-choices", true),
        ("standin/reasoning", true),
        ("standin/pieces-3", true),
    ] {
        let answer = pair.client().post("/v1/chat/completions", &ask(model, stream));

        assert_eq!(answer.status, 200, "{answer}");
        let row = pair.row(model);
        assert_eq!((row["ending"].as_str(), row["cost_kind"].as_str()), (Some("ok"), Some("exact")), "{row}");
        assert_eq!((row["prompt_tokens"].as_u64(), row["cost_usd"].as_str()), (Some(100), Some("0.00014")), "{row}");
    }
    pair.chat("standin/cached").done();
    let cached = pair.row("standin/cached");
    assert_eq!(
        (cached["prompt_tokens"].as_u64(), cached["cached_tokens"].as_u64()),
        (Some(1000), Some(900)),
        "{cached}"
    );
}

#[test]
fn without_usage_the_figure_is_an_estimate_and_says_so() {
    let pair = Pair::start();

    pair.chat("standin/no-usage").done();

    let row = pair.row("standin/no-usage");
    assert_eq!((row["ending"].as_str(), row["cost_kind"].as_str()), (Some("ok"), Some("estimated")), "{row}");
    assert!(row["prompt_tokens"].as_u64().unwrap() > 0, "{row}");
}

#[test]
fn every_end_has_its_row() {
    let pair = Pair::with(&[("GATEWAY_ATTEMPTS", "1"), ("GATEWAY_FIRST_BYTE_MS", "300"), ("GATEWAY_IDLE_MS", "300")]);
    for (model, stream, ending) in [
        ("standin/ok", false, "ok"),
        ("standin/500", false, "upstream_error"),
        ("standin/hang", false, "timeout"),
        ("standin/stall", true, "timeout"),
        ("standin/cut", true, "cut"),
        ("standin/html-200", false, "upstream_error"),
    ] {
        pair.client().post("/v1/chat/completions", &ask(model, stream));

        assert_eq!(pair.row(model)["ending"], ending, "{model}");
    }
    let key = pair.server.new_key(&json!({"workspace_id": "w", "name": "n", "model_blocklist": ["standin/*"]}));
    let blocked = pair.server.with_key(key["key"].as_str().unwrap());
    blocked.post("/v1/chat/completions", &ask("standin/echo", false)).refused(403, "model_not_allowed");
    let row = pair.row("standin/echo");
    assert_eq!((row["ending"].as_str(), row["cost_usd"].as_str()), (Some("refused"), Some("0")), "{row}");
    assert_eq!(row["key_id"], key["id"]);
}

#[test]
fn rows_and_sums_survive_a_kill() {
    let mut pair = Pair::start();
    for _ in 0..5 {
        pair.chat("standin/ok").done();
    }
    pair.rows("standin/ok", 5);
    let before = pair.server.admin().get("/admin/api/usage?group_by=model").done();

    pair.server.kill9();
    pair.server.launch();

    let after = pair.server.admin().get("/admin/api/usage?group_by=model").done();
    assert_eq!(after, before);
    assert_eq!(after["data"][0]["of"], "standin/ok");
    assert_eq!(after["total"]["cost_usd"], "0.0007", "decimal, to the last digit: {after}");
}

#[test]
fn a_key_sees_the_usage_of_its_own_workspace_alone() {
    let pair = Pair::start();
    pair.chat("standin/ok").done();
    let other = pair.server.workspace("other");
    other.post("/v1/chat/completions", &ask("standin/echo", false)).done();
    pair.rows("standin/ok", 1);
    pair.rows("standin/echo", 1);

    let own = other.get("/v1/usage?group_by=model").done();

    assert_eq!(own["data"].as_array().unwrap().len(), 1, "{own}");
    assert_eq!(own["data"][0]["of"], "standin/echo");
    let by_workspace = pair.server.admin().get("/admin/api/usage?group_by=workspace").done();
    assert_eq!(by_workspace["data"].as_array().unwrap().len(), 2, "{by_workspace}");
    other.get("/v1/usage?group_by=colour").refused(400, "invalid_value");
    other.get("/v1/usage?from=yesterday").refused(400, "invalid_value");
}
