//! Time limits apart, attempts by one table, and a breaker that lets a sick model rest.

use super::*;

#[test]
fn each_time_limit_has_its_own_name() {
    let pair = Pair::with(&[
        ("GATEWAY_ATTEMPTS", "1"),
        ("GATEWAY_FIRST_BYTE_MS", "300"),
        ("GATEWAY_IDLE_MS", "300"),
        ("GATEWAY_TOTAL_MS", "1500"),
    ]);

    pair.chat("standin/hang").gateway_refused(504, "upstream_first_byte_timeout");
    pair.stream("standin/hang-body").gateway_refused(504, "upstream_first_byte_timeout");
    pair.chat("standin/stall").gateway_refused(504, "upstream_idle_timeout");
    // Pieces come often enough, but there is no end to them in time.
    pair.stream("standin/chunks-100+gap-100");
    assert_eq!(pair.row("standin/chunks-100+gap-100")["code"], "upstream_total_timeout");
}

#[test]
fn an_upstream_that_is_not_there_is_said_to_be() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let base = format!("http://127.0.0.1:{port}/v1");
    let server = Server::start_with(&[("OPENROUTER_API_BASE", &base), ("GATEWAY_ATTEMPTS", "1")]);

    let answer = server.client().post("/v1/chat/completions", &ask("a/b", false));

    answer.gateway_refused(502, "upstream_unreachable");
}

#[test]
fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    let pair = Pair::start();
    for (model, attempts) in [
        ("standin/429-then-ok-1", 2),
        ("standin/500-then-ok-2", 3),
        ("standin/400", 1),
        ("standin/402", 1),
        ("standin/422", 1),
    ] {
        let before = pair.calls();

        pair.chat(model);

        assert_eq!(pair.calls() - before, attempts, "{model}");
        assert_eq!(pair.row(model)["attempts"], attempts, "{model}");
    }
}

#[test]
fn a_model_that_fails_again_and_again_rests_and_comes_back() {
    let pair =
        Pair::with(&[("GATEWAY_ATTEMPTS", "1"), ("GATEWAY_BREAKER_FAILURES", "3"), ("GATEWAY_BREAKER_REST_MS", "700")]);
    for _ in 0..3 {
        assert_eq!(pair.chat("standin/500-then-ok-3").status, 500);
    }
    let before = pair.calls();

    let resting = pair.chat("standin/500-then-ok-3");

    resting.gateway_refused(503, "upstream_resting");
    assert!(resting.header("retry-after").is_some(), "{:?}", resting.headers);
    assert_eq!(pair.calls(), before, "the upstream is left alone");
    pair.chat("standin/ok").done();
    wait_for("the model to be tried again", 20, || (pair.chat("standin/500-then-ok-3").status == 200).then_some(()));
}

#[test]
fn an_idempotency_key_repeats_the_answer_and_not_the_call() {
    let mut pair = Pair::start();
    let send = |pair: &Pair, body: &Value| {
        let request = pair.client().request("POST", "/v1/chat/completions").header("idempotency-key", "k1");
        Client::send(request.json(body))
    };
    let first = send(&pair, &ask("standin/ok", false));

    let again = send(&pair, &ask("standin/ok", false));

    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(pair.calls(), 1);
    send(&pair, &ask("standin/echo", false)).refused(409, "idempotency_mismatch");
    pair.server.kill9();
    pair.server.launch();
    let later = send(&pair, &ask("standin/ok", false));
    assert_eq!(
        (later.body, later.headers.contains_key("idempotent-replayed")),
        (first.body, true),
        "a restart forgets nothing"
    );
}

#[test]
fn too_many_calls_at_once_are_turned_away_at_once() {
    let pair = Pair::with(&[("GATEWAY_MAX_CALLS", "2")]);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| pair.chat("standin/slow-700"))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });

    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!refused.is_empty() && refused.len() < 8, "{} refused", refused.len());
    for answer in refused {
        answer.refused(503, "overloaded");
        assert!(answer.header("retry-after").is_some());
    }
}

#[test]
fn our_own_share_of_the_time_is_in_the_open() {
    let pair = Pair::start();

    let answer = pair.chat("standin/slow-200");

    let timing = answer.header("server-timing").unwrap_or_default();
    let of = |name: &str| {
        let part = timing.split(", ").find(|part| part.starts_with(name)).unwrap_or_default();
        part.rsplit_once("dur=").unwrap().1.parse::<f64>().unwrap()
    };
    assert!(of("upstream") >= 200.0, "{timing}");
    assert!(of("gateway") < of("upstream"), "{timing}");
}
