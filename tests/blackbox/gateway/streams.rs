//! Streams: half an answer never looks like a whole one, and an early error has its true status.

use super::*;
use std::io::Read;

/// What a stream that broke off ends with.
fn error_chunk(stream: &Answer) -> Value {
    assert_eq!(stream.status, 200, "it had begun: {stream}");
    assert!(!stream.text().contains("[DONE]"), "half an answer has no clean end: {}", stream.text());
    let last = chunks(stream).pop().unwrap_or_else(|| panic!("no chunk at all: {}", stream.text()));
    assert_eq!(last["choices"][0]["finish_reason"], "error", "{last}");
    assert!(last["error"]["message"].is_string() && last["error"]["metadata"]["error_type"].is_string(), "{last}");
    last
}

#[test]
fn a_stream_that_breaks_off_stalls_or_turns_to_something_else_says_so() {
    let pair = Pair::start();
    for (model, code) in [
        ("standin/cut", "upstream_cut"),
        ("standin/cut-frame", "upstream_cut"),
        ("standin/stall", "upstream_idle_timeout"),
        ("standin/malformed", "upstream_malformed"),
    ] {
        let stream = pair.stream(model);

        error_chunk(&stream);
        let row = pair.row(model);
        assert_eq!(row["code"], code, "{row}");
        assert_ne!(row["ending"], "ok", "{row}");
    }
}

#[test]
fn an_error_of_the_upstream_in_mid_stream_passes_as_it_is() {
    let pair = Pair::start();

    let stream = pair.stream("standin/error-mid");

    error_chunk(&stream);
    assert_eq!(pair.row("standin/error-mid")["ending"], "upstream_error");
}

#[test]
fn an_error_before_the_first_frame_keeps_its_status() {
    let pair = Pair::with(&[("GATEWAY_ATTEMPTS", "1")]);
    for model in ["standin/error-first", "standin/503", "standin/html", "standin/html-200"] {
        let stream = pair.stream(model);

        assert!(stream.status >= 400, "{model}: {stream}");
        assert!(stream.value()["error"]["message"].is_string(), "{model}: {stream}");
    }
    let refused = pair.stream("standin/429");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{refused}");
}

#[test]
fn a_stream_that_fails_before_its_first_frame_is_tried_again() {
    let pair = Pair::start();

    let stream = pair.stream("standin/500-then-ok-1");

    assert_eq!(stream.status, 200, "{stream}");
    assert!(stream.text().contains("[DONE]"));
    assert_eq!(pair.row("standin/500-then-ok-1")["attempts"], 2);
}

#[test]
fn an_end_without_done_is_whole_when_reason_and_usage_came() {
    let pair = Pair::start();

    let stream = pair.stream("standin/no-done");

    assert!(chunks(&stream).iter().all(|chunk| chunk.get("error").is_none()), "{}", stream.text());
    assert_eq!(pair.row("standin/no-done")["ending"], "ok");
}

#[test]
fn a_stream_is_not_held_back() {
    let pair = Pair::start();
    let request = pair.client().request("POST", "/v1/chat/completions").json(&ask("standin/chunks-4+gap-300", true));
    let begun = std::time::Instant::now();

    let mut answer = request.send().unwrap();
    let mut first = [0; 16];
    let read = answer.read(&mut first).unwrap();
    let first_after = begun.elapsed();
    let mut rest = Vec::new();
    answer.read_to_end(&mut rest).unwrap();

    assert!(read > 0);
    // Relative to the whole: a busy machine is slow at both.
    assert!(first_after < begun.elapsed() / 2, "the first piece came after {first_after:?} of {:?}", begun.elapsed());
}

#[test]
fn empty_frames_and_comments_do_not_reach_a_client_as_data() {
    let pair = Pair::start();

    let empty = pair.stream("standin/empty-frames");
    let comments = pair.stream("standin/comments");

    assert!(!empty.text().contains("data: \n") && !empty.text().contains("data:\n"), "{}", empty.text());
    assert!(comments.text().contains(": OPENROUTER PROCESSING"), "{}", comments.text());
    assert!(!comments.text().contains("data: : "), "{}", comments.text());
}
