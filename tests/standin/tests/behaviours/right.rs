//! Answers that are right, some of them hard to read or with something missing.

use crate::client::{Client, End, chat};
use cmg_standin::StandIn;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn ok_is_a_whole_completion_with_its_cost() {
    let reply = chat("ok", false);

    let body = reply.json();
    assert_eq!((reply.status, reply.end), (200, End::Whole));
    assert_eq!(body["choices"][0]["message"]["content"], "Hello from the stand-in.");
    assert_eq!(body["choices"][0]["native_finish_reason"], "stop");
    assert_eq!(body["provider"], "StandIn");
    assert_eq!(body["model"], "standin/ok");
    assert_eq!(body["usage"]["total_tokens"], 120);
    assert!(reply.body.contains("\"cost\":0.00014,"), "the cost is written as decimals: {}", reply.body);
    assert_eq!(reply.header("x-generation-id"), body["id"].as_str());
    assert!(reply.header("set-cookie").is_some(), "as an edge, it sends what a gateway has to drop");
}

#[test]
fn ok_streams_a_frame_for_each_word_and_its_usage_last() {
    let reply = chat("ok", true);

    let events = reply.events();
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(reply.said(), "Hello from the stand-in.");
    assert_eq!(events.len(), 6, "four words, the finish, the usage");
    assert_eq!(events[4]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[5]["choices"], json!([]));
    assert_eq!(events[5]["usage"]["cost"], 0.000_14);
    assert_eq!(events.iter().filter(|event| event.get("usage").is_some()).count(), 1, "usage comes once");
    assert!(reply.body.ends_with("data: [DONE]\n\n"));
    assert_eq!((reply.end, reply.chunks.len()), (End::Whole, 7), "each frame is an HTTP chunk");
}

#[test]
fn every_answer_has_an_id_of_its_own() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);

    let ids: Vec<Value> = (0..3).map(|_| client.chat("ok", false).json()["id"].clone()).collect();
    let streamed = client.chat("ok", true);

    assert_eq!(ids, ["gen-0000000001", "gen-0000000002", "gen-0000000003"]);
    assert!(streamed.events().iter().all(|event| event["id"] == "gen-0000000004"));
    assert_eq!(streamed.header("x-generation-id"), Some("gen-0000000004"));
}

#[test]
fn echo_says_the_last_user_message_whole_and_streamed() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);

    let whole = client.chat("echo", false);
    let streamed = client.chat("echo", true);

    assert_eq!(whole.json()["choices"][0]["message"]["content"], "the last question");
    assert_eq!(streamed.said(), "the last question");
}

#[test]
fn slow_delays_the_first_byte() {
    assert!(chat("slow-80", false).first >= Duration::from_millis(80));
    assert!(chat("slow-80", true).first >= Duration::from_millis(80));
}

#[test]
fn late_sends_the_head_and_delays_the_first_frame() {
    let reply = chat("late-200", true);

    assert!(reply.chunks[0].1 >= Duration::from_millis(200));
    assert!(reply.chunks[0].1 - reply.first >= Duration::from_millis(100), "the head came before");
}

#[test]
fn a_late_answer_with_comments_sends_a_comment_first() {
    let reply = chat("comments+late-200", true);

    assert_eq!(reply.chunks[0].0, ": OPENROUTER PROCESSING\n\n");
    assert!(reply.chunks[1].1 >= Duration::from_millis(200));
    assert!(reply.chunks[1].1 - reply.chunks[0].1 >= Duration::from_millis(100), "the comment came before");
}

#[test]
fn chunks_are_as_many_as_asked_for() {
    let reply = chat("chunks-50", true);

    let said = |event: &&Value| event["choices"][0]["delta"]["content"].as_str().is_some_and(|text| !text.is_empty());
    assert_eq!(reply.events().iter().filter(said).count(), 50);
}

#[test]
fn a_gap_stands_between_the_frames_of_content() {
    let reply = chat("chunks-4+gap-30", true);

    assert!(reply.chunks[1].1 >= Duration::from_millis(30), "{:?}", reply.chunks);
    assert!(reply.chunks[3].1 >= Duration::from_millis(90), "{:?}", reply.chunks);
    assert_eq!(reply.end, End::Whole);
}

#[test]
fn pieces_of_a_stream_are_chunks_of_so_many_bytes() {
    let plain = chat("ok", true);

    let reply = chat("ok+pieces-3", true);

    assert!(reply.chunks.iter().rev().skip(1).all(|(chunk, _)| chunk.len() <= 3));
    assert_eq!(reply.said(), plain.said());
    assert_eq!(reply.events().len(), plain.events().len());
}

#[test]
fn pieces_of_a_whole_answer_make_the_same_answer() {
    let reply = chat("pieces-1", false);

    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello from the stand-in.");
    assert_eq!(reply.end, End::Whole);
}

#[test]
fn crlf_ends_every_line_of_a_stream() {
    let reply = chat("crlf", true);

    assert_eq!(reply.body.matches('\n').count(), reply.body.matches("\r\n").count());
    assert!(reply.body.ends_with("data: [DONE]\r\n\r\n"));
    assert_eq!(reply.said(), "Hello from the stand-in.");
}

#[test]
fn comments_stand_before_and_between_frames() {
    let reply = chat("comments", true);

    assert!(reply.body.starts_with(": OPENROUTER PROCESSING\n\ndata: {"));
    assert_eq!(reply.body.matches(": OPENROUTER PROCESSING\n\n").count(), 4);
    assert_eq!(reply.said(), "Hello from the stand-in.");
}

#[test]
fn empty_frames_stand_between_the_others() {
    let reply = chat("empty-frames", true);

    assert_eq!(reply.body.matches("data:\n\n").count(), 4);
    assert_eq!(reply.said(), "Hello from the stand-in.");
}

#[test]
fn no_usage_is_nowhere() {
    for stream in [false, true] {
        let reply = chat("no-usage", stream);

        assert!(!reply.body.contains("\"usage\""), "{}", reply.body);
        assert_eq!(reply.end, End::Whole);
    }
}

#[test]
fn usage_with_choices_stands_in_the_finishing_chunk() {
    let reply = chat("usage-with-choices", true);

    let last = reply.events().pop().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(last["usage"]["cost"], 0.000_14);
    assert_eq!(reply.body.matches("\"usage\"").count(), 1);
}

#[test]
fn no_done_ends_the_stream_without_it() {
    let reply = chat("no-done", true);

    assert!(!reply.body.contains("[DONE]"));
    assert!(reply.body.contains("\"usage\"") && reply.body.contains("\"stop\""));
    assert_eq!(reply.end, End::Whole);
}

#[test]
fn no_finish_never_says_why_it_ended() {
    let reply = chat("no-finish", true);

    assert!(reply.events().iter().all(|event| event["choices"][0]["finish_reason"].is_null()));
    assert!(reply.body.ends_with("data: [DONE]\n\n"));
    assert!(chat("no-finish", false).json()["choices"][0]["finish_reason"].is_null());
}

#[test]
fn tools_are_called_whole_and_in_indexed_deltas() {
    let whole = chat("tools", false).json();
    let streamed = chat("tools", true);

    let calls = &whole["choices"][0]["message"]["tool_calls"];
    assert_eq!(calls[1]["function"]["arguments"], "{\"city\":\"Rome\"}");
    assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
    let mut arguments = [String::new(), String::new()];
    for event in streamed.events() {
        if let Some(call) = event["choices"][0]["delta"]["tool_calls"].get(0) {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            arguments[index].push_str(call["function"]["arguments"].as_str().unwrap());
        }
    }
    assert_eq!(arguments, ["{\"city\":\"Paris\"}", "{\"city\":\"Rome\"}"]);
    assert!(streamed.body.contains("\"finish_reason\":\"tool_calls\""));
}

#[test]
fn reasoning_comes_with_details_and_tokens() {
    let whole = chat("reasoning", false).json();
    let streamed = chat("reasoning", true);

    assert_eq!(whole["choices"][0]["message"]["reasoning"], "First think, then speak.");
    assert_eq!(whole["choices"][0]["message"]["reasoning_details"][1]["type"], "reasoning.encrypted");
    assert_eq!(whole["usage"]["completion_tokens_details"]["reasoning_tokens"], 12);
    let events = streamed.events();
    let thought: String = events.iter().filter_map(|e| e["choices"][0]["delta"]["reasoning"].as_str()).collect();
    assert_eq!(thought, "First think, then speak.");
    assert_eq!(streamed.said(), "Hello from the stand-in.");
    assert_eq!(events.last().unwrap()["usage"]["completion_tokens_details"]["reasoning_tokens"], 12);
}

#[test]
fn cached_tokens_are_900_of_1000() {
    let usage = chat("cached", false).json()["usage"].clone();

    assert_eq!(usage["prompt_tokens"], 1000);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 900);
    assert_eq!(usage["cost"], 0.000_23);
}

#[test]
fn big_has_so_many_kib() {
    assert_eq!(chat("big-64", false).json()["choices"][0]["message"]["content"].as_str().unwrap().len(), 65_536);
    assert_eq!(chat("big-300", true).said().len(), 300 * 1024);
}

#[test]
fn fallback_names_the_model_that_answered() {
    assert_eq!(chat("fallback", false).json()["model"], "standin/ok");
    assert!(chat("fallback", true).events().iter().all(|event| event["model"] == "standin/ok"));
}

#[test]
fn close_keepalive_closes_after_a_whole_answer() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);

    let reply = client.chat("close-keepalive", false);
    let after = client.receive();

    assert_eq!(reply.end, End::Whole);
    assert_eq!(reply.header("connection"), None, "it is not announced");
    assert_eq!((after.status, after.end), (0, End::Cut));
}
