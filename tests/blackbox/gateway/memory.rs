//! Memory on a call: what is known goes in, what is said is kept, and nothing of it breaks a call.

use super::*;

fn remember(pair: &Pair, mode: &str, words: &str, stream: bool) -> Answer {
    let body = json!({"model": "standin/echo", "stream": stream, "memory": {"thread_id": "shop", "mode": mode},
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": words}]});
    pair.client().post("/v1/chat/completions", &body)
}

fn sent_messages(pair: &Pair) -> Vec<Value> {
    pair.upstream.last().unwrap().json()["messages"].as_array().unwrap().clone()
}

#[test]
fn what_was_said_in_one_call_is_known_in_the_next() {
    let pair = Pair::start();
    remember(&pair, "readwrite", "We decided to use Postgres for the orders, because the team knows it.", false).done();

    let answer = remember(&pair, "readwrite", "Which database do we use for the orders?", false);

    answer.done();
    let messages = sent_messages(&pair);
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles.first(), Some(&"system"));
    assert_eq!(messages[0]["content"], "Be brief.", "the caller's own comes first, as it was");
    assert_eq!(messages.last().unwrap()["content"], "Which database do we use for the orders?");
    let recalled: String =
        messages[1..messages.len() - 1].iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert!(recalled.contains("Postgres for the orders"), "{recalled}");
    assert!(answer.header("x-cmg-memory-ids").is_some_and(|ids| ids.contains('E')), "{:?}", answer.headers);
    assert!(answer.header("x-cmg-memory-written").is_some());
    assert!(pair.upstream.last().unwrap().json().get("memory").is_none(), "our field stays here");
    let row = &pair.rows("standin/echo", 2)[0];
    assert!(row["memory_tokens"].as_u64().unwrap() > 0, "what memory costs is on the ledger: {row}");
    let items = pair.client().items("shop");
    assert_eq!(items.iter().filter(|item| item["kind"] == "chat").count(), 4, "both sides of both calls: {items:?}");
}

#[test]
fn a_streamed_answer_is_kept_when_it_is_complete_and_only_then() {
    let pair = Pair::start();
    let words = "The deploy key expires in March.";

    remember(&pair, "write", words, true);
    let body = json!({"model": "standin/cut", "stream": true, "memory": {"thread_id": "cut"}, "messages": [{"role": "user", "content": words}]});
    pair.client().post("/v1/chat/completions", &body);

    let items = wait_for("the stream's turns", 20, || {
        let answer = pair.client().get("/v1/threads/shop/items");
        let items = (answer.status == 200).then(|| answer.done()["data"].as_array().unwrap().clone())?;
        (items.iter().filter(|item| item["kind"] == "chat").count() == 2).then_some(items)
    });
    assert!(items.iter().any(|item| item["role"] == "assistant"), "{items:?}");
    pair.row("standin/cut");
    assert_eq!(pair.client().get("/v1/threads/cut").status, 404, "half an answer is not remembered");
}

#[test]
fn off_wins_and_a_thread_that_is_new_is_no_error() {
    let pair = Pair::start();
    remember(&pair, "off", "Nothing of this is kept.", false).done();
    assert_eq!(pair.client().get("/v1/threads/shop").status, 404);

    let request = pair.client().request("POST", "/v1/chat/completions").json(&ask("standin/ok", false));
    let read = Client::send(request.header("x-cmg-thread", "new").header("x-cmg-memory", "read"));

    read.done();
    assert_eq!(read.header("x-cmg-memory-error"), None);
    assert_eq!(sent_messages(&pair).len(), 1);
    assert_eq!(pair.client().get("/v1/threads/new").status, 404, "reading begins no thread");
}

#[test]
fn the_prefix_stays_the_same_from_question_to_question() {
    let pair = Pair::start();
    pair.client().ingest("shop", json!({"chat": "Mara: Card numbers must never be stored.\nAda: We decided to use Postgres.\nMara: The harbour opens at nine.\nAda: The invoice mails go out on Friday."}));
    let mut seen = Vec::new();
    for question in ["When does the harbour open?", "When do the invoices go out?"] {
        remember(&pair, "read", question, false).done();
        seen.push(sent_messages(&pair));
    }

    assert_eq!(seen[0][..2], seen[1][..2], "system and register: the provider's cache keeps them");
    assert!(seen[0][1]["content"].as_str().unwrap().contains("Card numbers must never be stored"));
    let evidence = |messages: &[Value]| messages[messages.len() - 2]["content"].as_str().unwrap().to_owned();
    assert!(evidence(&seen[0]).contains("harbour opens at nine"), "{}", evidence(&seen[0]));
    assert_ne!(evidence(&seen[0]), evidence(&seen[1]));
}

#[test]
fn tool_messages_and_parts_stay_as_they_are() {
    let pair = Pair::start();
    pair.client().ingest("shop", json!({"chat": "Mara: We decided to use Postgres."}));
    let messages = json!([
        {"role": "user", "content": [{"type": "text", "text": "Which database?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"}
    ]);
    let body = json!({"model": "standin/ok", "messages": messages, "memory": {"thread_id": "shop"}});

    pair.client().post("/v1/chat/completions", &body).done();

    let sent = sent_messages(&pair);
    let own: Vec<&Value> = sent.iter().filter(|message| message["role"] != "system").collect();
    assert_eq!(own, messages.as_array().unwrap().iter().collect::<Vec<_>>());
    assert_eq!(sent[sent.len() - 3..], messages.as_array().unwrap()[..], "nothing comes between a call and its result");
    let turns = pair.client().items("shop");
    assert!(
        !turns.iter().any(|item| item["text"].as_str().unwrap().contains("Which database")),
        "said before, not again: {turns:?}"
    );
}

#[test]
fn a_failure_of_memory_is_told_and_the_call_goes_on() {
    let pair = Pair::with(&[("CMG_MEMORY_REDACTION", "reject")]);

    let answer = remember(&pair, "write", "My mail is mara@shop.example, remember it.", false);

    answer.done();
    assert_eq!(answer.header("x-cmg-memory-error"), Some("sensitive_data"), "{:?}", answer.headers);
    remember(&pair, "sometimes", "x", false).refused(400, "invalid_value");
}
