//! OpenRouter's errors, and those that are over after some requests.

use crate::client::{Client, End, chat};
use cmg_standin::StandIn;

#[test]
fn every_error_has_its_status_code_and_type() {
    let cases = [
        ("400", "invalid_request"),
        ("401", "authentication"),
        ("402", "payment_required"),
        ("403", "permission_denied"),
        ("404", "not_found"),
        ("408", "timeout"),
        ("413", "payload_too_large"),
        ("422", "unprocessable"),
        ("429", "rate_limit_exceeded"),
        ("500", "server"),
        ("502", "provider_unavailable"),
        ("503", "provider_unavailable"),
        ("524", "timeout"),
        ("529", "provider_overloaded"),
    ];
    let standin = StandIn::start();
    let mut client = Client::of(&standin);
    for (behaviour, error_type) in cases {
        for stream in [false, true] {
            let reply = client.chat(behaviour, stream);

            let error = reply.json()["error"].clone();
            assert_eq!(reply.status.to_string(), behaviour);
            assert_eq!(error["code"], reply.status);
            assert_eq!(error["metadata"]["error_type"], error_type, "{behaviour}");
            assert!(!error["message"].as_str().unwrap().is_empty());
            assert_eq!(reply.end, End::Whole, "the connection goes on");
        }
    }
}

#[test]
fn a_429_says_when_to_come_again() {
    let reply = chat("429", true);

    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.header("x-ratelimit-limit"), Some("20"));
    assert_eq!(reply.header("x-ratelimit-remaining"), Some("0"));
    assert!(reply.header("x-ratelimit-reset").is_some());
}

#[test]
fn only_the_402_of_requests_under_way_may_be_tried_again() {
    let (last, in_flight) = (chat("402", false), chat("402-inflight", false));

    assert_eq!((last.status, last.header("retry-after")), (402, None));
    assert!(last.json()["error"]["metadata"].get("limit_source").is_none());
    assert_eq!((in_flight.status, in_flight.header("retry-after")), (402, Some("1")));
    assert_eq!(in_flight.json()["error"]["metadata"]["limit_source"], "openrouter_in_flight_budget");
}

#[test]
fn moderation_says_its_reasons() {
    let reply = chat("moderation", false);

    assert_eq!(reply.status, 403);
    assert_eq!(reply.json()["error"]["metadata"]["reasons"][0], "harassment");
    assert_eq!(reply.json()["error"]["metadata"]["model_slug"], "standin/moderation");
}

#[test]
fn availability_has_no_code_but_says_that_it_may_be_retried() {
    let reply = chat("availability", false);

    let error = reply.json()["error"].clone();
    assert_eq!(reply.status, 503);
    assert!(error.get("code").is_none());
    assert_eq!((&error["http_status"], &error["error_type"]), (&503.into(), &"provider_unavailable".into()));
    assert_eq!(error["availability"]["retryable"], true);
    assert_eq!(error["availability"]["requested_models"][0], "standin/availability");
}

#[test]
fn some_errors_are_over_after_so_many_requests() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);
    for behaviour in ["429-then-ok-2", "500-then-ok-2", "429-then-ok-2:mine", "availability-then-ok-2"] {
        let statuses: Vec<u16> = (0..4).map(|_| client.chat(behaviour, true).status).collect();

        assert_eq!(&statuses[2..], [200, 200], "{behaviour}");
        assert!(statuses[0] >= 429 && statuses[1] >= 429, "{behaviour}: {statuses:?}");
    }
}

#[test]
fn an_unknown_model_and_no_model_are_refused() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);

    let unknown = client.chat("no-such-behaviour", false);
    let none = client.ask("POST", "/chat/completions", "{\"messages\":[]}");
    let garbage = client.ask("POST", "/chat/completions", "{\"model\":");

    assert_eq!((unknown.status, none.status, garbage.status), (400, 400, 400));
    assert_eq!(unknown.json()["error"]["message"], "standin/no-such-behaviour is not a valid model ID");
}
