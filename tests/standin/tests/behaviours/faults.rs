//! Answers that go wrong after they have begun, or never begin.

use crate::client::{Client, End, chat, chat_body};
use cmg_standin::StandIn;

#[test]
fn html_is_a_page_instead_of_json() {
    for (behaviour, status) in [("html", 502), ("html-200", 200)] {
        for stream in [false, true] {
            let reply = chat(behaviour, stream);

            assert_eq!((reply.status, reply.end), (status, End::Whole));
            assert!(reply.header("content-type").unwrap().starts_with("text/html"));
            assert!(reply.body.starts_with("<!DOCTYPE html>"));
        }
    }
}

#[test]
fn hang_never_answers() {
    for stream in [false, true] {
        let reply = chat("hang", stream);

        assert_eq!((reply.status, reply.end), (0, End::Silent));
    }
}

#[test]
fn hang_body_sends_a_head_and_nothing_else() {
    for stream in [false, true] {
        let reply = chat("hang-body", stream);

        assert_eq!((reply.status, reply.end, reply.body.as_str()), (200, End::Silent, ""));
    }
}

#[test]
fn stall_falls_silent_after_two_frames() {
    let reply = chat("stall", true);

    assert_eq!((reply.end, reply.said().as_str()), (End::Silent, "Hello from "));
}

#[test]
fn cut_closes_after_two_frames_without_the_last_chunk() {
    let reply = chat("cut", true);

    assert_eq!((reply.end, reply.said().as_str()), (End::Cut, "Hello from "));
    assert!(reply.body.ends_with("\n\n"), "between frames");
}

#[test]
fn cut_frame_closes_within_a_frame() {
    let reply = chat("cut-frame", true);

    assert_eq!((reply.end, reply.said().as_str()), (End::Cut, "Hello from "));
    assert!(!reply.body.ends_with('\n') && reply.chunks.len() == 3, "half of the third frame came");
}

#[test]
fn a_whole_answer_can_stall_or_be_cut_in_half() {
    for (behaviour, end) in [("stall", End::Silent), ("cut", End::Cut), ("cut-frame", End::Cut)] {
        let reply = chat(behaviour, false);

        let promised: usize = reply.header("content-length").unwrap().parse().unwrap();
        assert_eq!(reply.end, end, "{behaviour}");
        assert_eq!(reply.body.len(), promised / 2, "{behaviour}");
    }
}

#[test]
fn malformed_has_a_frame_that_is_no_json() {
    let reply = chat("malformed", true);

    let frames: Vec<&str> = reply.body.split_terminator("\n\n").collect();
    let broken = frames.iter().filter(|frame| {
        let data = frame.strip_prefix("data: ").unwrap();
        data != "[DONE]" && serde_json::from_str::<serde_json::Value>(data).is_err()
    });
    assert_eq!(broken.count(), 1);
    assert_eq!(reply.end, End::Whole);
}

#[test]
fn malformed_whole_is_half_a_body_of_the_right_length() {
    let reply = chat("malformed", false);

    assert_eq!((reply.status, reply.end), (200, End::Whole));
    assert!(serde_json::from_str::<serde_json::Value>(&reply.body).is_err());
}

#[test]
fn error_200_is_an_error_object_under_status_200() {
    for stream in [false, true] {
        let reply = chat("error-200", stream);

        assert_eq!(reply.status, 200);
        assert_eq!(reply.json()["error"]["metadata"]["error_type"], "provider_unavailable");
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

#[test]
fn error_first_is_the_only_frame() {
    let reply = chat("error-first", true);

    let events = reply.events();
    assert_eq!((reply.status, events.len(), reply.end), (200, 1, End::Whole));
    assert_eq!(events[0]["error"]["code"], 502);
    assert_eq!(events[0]["choices"][0]["finish_reason"], "error");
    assert!(!reply.body.contains("[DONE]"));
}

#[test]
fn error_mid_is_the_last_frame_after_two_others() {
    let reply = chat("error-mid", true);

    let events = reply.events();
    assert_eq!((events.len(), reply.end), (3, End::Whole));
    assert_eq!(reply.said(), "Hello from ");
    assert_eq!(events[2]["error"]["metadata"]["error_type"], "provider_unavailable");
    assert!(!reply.body.contains("[DONE]"));
}

#[test]
fn an_error_in_a_whole_answer_stands_beside_its_choices() {
    let body = chat("error-mid", false).json();

    assert_eq!(body["error"]["code"], 502);
    assert_eq!(body["choices"][0]["finish_reason"], "error");
}

#[test]
fn faults_join_with_pauses_and_counts() {
    let reply = chat("chunks-9+gap-10+comments+cut", true);

    assert_eq!((reply.end, reply.said().as_str()), (End::Cut, "word-0 word-1 "));
    assert!(reply.body.contains(": OPENROUTER PROCESSING"));
}

#[test]
fn other_dialects_go_wrong_in_the_same_places() {
    let standin = StandIn::start();
    for (path, error) in [("/responses", "event: error"), ("/messages", "event: error")] {
        let stalled = Client::of(&standin).ask("POST", path, &chat_body("stall", true));
        let cut = Client::of(&standin).ask("POST", path, &chat_body("cut", true));
        let failed = Client::of(&standin).ask("POST", path, &chat_body("error-mid", true));

        assert_eq!((stalled.end, cut.end, failed.end), (End::Silent, End::Cut, End::Whole), "{path}");
        assert!(failed.body.contains(error), "{path}: {}", failed.body);
        assert!(stalled.body.contains("from "), "{path}: two frames of content came");
    }
}
