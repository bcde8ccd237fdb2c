//! A client that leaves takes the upstream's work with it, in every phase; and nothing stays behind.

use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends a chat call over a connection of its own, which ends when it is dropped.
fn send(pair: &Pair, model: &str, stream: bool) -> TcpStream {
    let body = ask(model, stream).to_string();
    let mut connection = TcpStream::connect(("127.0.0.1", pair.server.port())).unwrap();
    let key = crate::support::server::API_KEY;
    write!(
        connection,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    connection
}

fn leaves(pair: &Pair, model: &str, stream: bool, wait_for_bytes: bool) {
    let before = (pair.upstream.closed_early(), pair.upstream.received());
    let mut connection = send(pair, model, stream);
    assert!(pair.upstream.wait_until(|seen| seen.received() > before.1, PATIENCE), "{model}: the call goes out");
    if wait_for_bytes {
        let mut some = [0; 64];
        assert!(connection.read(&mut some).unwrap() > 0, "{model}: the stream begins");
    }

    drop(connection);

    let closed = pair.upstream.wait_until(|seen| seen.closed_early() > before.0, PATIENCE);
    assert!(closed, "{model}, stream {stream}: the upstream works on for nobody");
    let row = pair.row(model);
    assert_eq!(row["ending"], "client_gone", "{row}");
}

#[test]
fn a_whole_call_is_cancelled() {
    leaves(
        &Pair::with(&[("GATEWAY_FIRST_BYTE_MS", "60000"), ("GATEWAY_TOTAL_MS", "60000")]),
        "standin/hang",
        false,
        false,
    );
}

#[test]
fn a_stream_is_cancelled_before_its_first_byte() {
    leaves(
        &Pair::with(&[("GATEWAY_FIRST_BYTE_MS", "60000"), ("GATEWAY_TOTAL_MS", "60000")]),
        "standin/slow-30000",
        true,
        false,
    );
}

#[test]
fn a_stream_is_cancelled_in_its_middle() {
    leaves(&Pair::with(&[("GATEWAY_IDLE_MS", "60000"), ("GATEWAY_TOTAL_MS", "60000")]), "standin/stall", true, true);
}

#[test]
fn a_call_that_was_left_is_settled_later_by_what_the_upstream_knows() {
    let pair = Pair::with(&[("GATEWAY_IDLE_MS", "60000"), ("GATEWAY_TOTAL_MS", "60000")]);
    leaves(&pair, "standin/stall", true, true);
    let row = pair.row("standin/stall");
    assert_eq!((row["cost_kind"].as_str(), row["unsettled"].as_bool()), (Some("estimated"), Some(true)), "{row}");

    let id = row["generation_id"].as_str().unwrap();
    let data = json!({"id": id, "total_cost": 0.00321, "native_tokens_prompt": 77, "native_tokens_completion": 5, "cancelled": true});
    pair.upstream.generation(id, data);

    let settled =
        wait_for("the settlement", 30, || Some(pair.row("standin/stall")).filter(|row| row["unsettled"] == false));
    assert_eq!(
        (settled["cost_usd"].as_str(), settled["cost_kind"].as_str()),
        (Some("0.00321"), Some("exact")),
        "{settled}"
    );
    assert_eq!(settled["prompt_tokens"], 77);
    let usage = pair.server.admin().get("/admin/api/usage").done();
    assert_eq!(usage["total"]["cost_usd"], "0.00321", "the sums follow: {usage}");
}

/// How many streams are opened and left: enough to see a leak of one in a hundred; `CMG_TEST_STREAMS` for a longer look.
fn streams() -> usize {
    std::env::var("CMG_TEST_STREAMS").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

#[test]
fn streams_opened_and_left_leave_nothing_behind() {
    let pair = Pair::with(&[
        ("GATEWAY_IDLE_MS", "60000"),
        ("GATEWAY_TOTAL_MS", "60000"),
        ("DEFAULT_DAILY_QUOTA_TOKENS", "1000000000"),
    ]);
    let streams = streams();
    for batch in 0..streams / 50 {
        let open: Vec<TcpStream> = (0..50)
            .map(|_| {
                let mut connection = send(&pair, "standin/stall", true);
                let mut some = [0; 15];
                connection.read_exact(&mut some).unwrap();
                assert_eq!(&some, b"HTTP/1.1 200 OK");
                connection
            })
            .collect();
        drop(open);
        assert!(
            pair.upstream.wait_until(|seen| seen.open_streams() == 0, PATIENCE),
            "batch {batch}: {} streams are open still",
            pair.upstream.open_streams()
        );
    }

    let health = wait_for("calls and reservations to be gone", 20, || {
        let health = pair.server.anonymous().get("/health/detailed").done();
        (health["gateway"]["calls_under_way"] == 0).then_some(health)
    });
    assert_eq!(health["gateway"]["reserved_tokens"], 0, "{health}");
    assert_eq!(health["gateway"]["reserved_usd"], "0", "{health}");
    let sums = wait_for("one row for each stream", 20, || {
        let sums = pair.server.admin().get("/admin/api/usage").done();
        (sums["total"]["requests"].as_u64() >= Some(streams as u64)).then_some(sums)
    });
    assert_eq!(sums["total"]["requests"], streams, "one row each: {sums}");
    assert_eq!(sums["total"]["errors"], streams, "each was left: {sums}");
}
