//! A stop and a start: the same memory, the same answers.

use crate::support::{Client, Server, stories, without_time};
use serde_json::{Value, json};

fn fill(client: &Client) {
    client.chat("pantry", &stories::pantry());
    client.ingest(
        "pantry",
        json!({"diffs": stories::commits(), "logs": [stories::LOG, stories::PYTHON_TRACE, stories::PYTEST]}),
    );
    client.chat("other", &[json!({"role": "user", "content": "The database of the museum is on paper."})]);
    client.post("/v1/feedback", &json!({"item_id": "E8", "feedback_type": "helpful", "value": 1.0})).done();
    client.patch("/v1/items/E2", &json!({"text": "An edited turn about the plumber."})).done();
    client.delete("/v1/items/E3").done();
}

/// What a caller can see of the memory, word for word.
fn seen(client: &Client) -> Vec<String> {
    let mut all = vec![json!(client.pages("/v1/threads", 10)).to_string()];
    for thread in ["pantry", "other"] {
        all.extend(client.export(thread));
        all.push(json!(client.items(thread)).to_string());
    }
    for question in ["Which database do we use now?", "backup failed", "plumber", "def make_thumbnail"] {
        for path in ["/v1/recall", "/v1/workingset"] {
            for request in [
                json!({"thread_id": "pantry", "purpose": question, "explain": path == "/v1/recall"}),
                json!({"scope": "workspace", "purpose": question}),
            ] {
                let answer = client.post(path, &request);
                answer.done();
                all.push(without_time(&answer.text()));
            }
        }
    }
    all.push(client.get("/v1/expand/E2").text());
    all
}

fn same(before: &[String], after: &[String], what: &str) {
    assert_eq!(before.len(), after.len(), "{what} changed how much there is to see");
    for (no, (before, after)) in before.iter().zip(after).enumerate() {
        assert_eq!(before, after, "{what} changed answer {no}");
    }
}

#[test]
fn a_stop_and_a_start_change_no_answer() {
    let mut server = Server::start();
    fill(&server.client());
    let before = seen(&server.client());

    server.restart();

    same(&before, &seen(&server.client()), "a restart");
}

#[test]
fn a_crash_and_a_start_change_no_answer() {
    let mut server = Server::start();
    fill(&server.client());
    let before = seen(&server.client());

    server.kill9();
    server.launch();

    same(&before, &seen(&server.client()), "a crash");
}

#[test]
fn snapshots_taken_under_way_change_no_answer() {
    // Snapshots after every few kilobytes: the journal is trimmed many times over.
    let env = [
        ("CMG_JOURNAL_SNAPSHOT_AFTER_BYTES", "4096"),
        ("CMG_JOURNAL_SNAPSHOT_AFTER_SECONDS", "1"),
        ("CMG_MEMORY_THREAD_IDLE_SECONDS", "1"),
    ];
    let mut server = Server::start_with(&env);
    let mut plain = Server::start();
    for server in [&server, &plain] {
        fill(&server.client());
    }
    let words = |server: &Server| {
        server
            .client()
            .items("pantry")
            .iter()
            .map(|item| format!("{} {}", item["id"], item["text"]))
            .collect::<Vec<_>>()
    };
    let before = seen(&server.client());

    for round in 0..3 {
        if round == 1 {
            server.kill9()
        } else {
            server.stop()
        }
        server.launch();
        same(&before, &seen(&server.client()), "snapshots and a start");
    }
    assert_eq!(words(&server), words(&plain), "a server that takes snapshots holds the same as one that does not");
    plain.stop();
}

#[test]
fn threads_that_were_put_to_rest_answer_as_before() {
    let mut server = Server::start_with(&[("MEMORY_BUDGET_MB", "16"), ("CMG_MEMORY_THREAD_IDLE_SECONDS", "1")]);
    let client = server.client();
    let turns = stories::pantry();
    for no in 0..30 {
        let mine: Vec<Value> = turns
            .iter()
            .take(12)
            .map(
                |turn| json!({"role": "user", "content": format!("{} (room {no})", turn["content"].as_str().unwrap())}),
            )
            .collect();
        client.chat(&format!("room-{no}"), &mine);
    }

    // A second without a request puts a thread to rest: let it pass with work elsewhere.
    let end = std::time::Instant::now() + std::time::Duration::from_millis(2500);
    for turn in 0.. {
        if std::time::Instant::now() > end {
            break;
        }
        client.chat("busy", &[json!({"role": "user", "content": format!("busy {turn}")})]);
    }

    for no in (0..30).rev() {
        let items = client.find(&format!("room-{no}"), "What is the product called?");
        assert!(
            items.iter().any(|item| item["text"].as_str().unwrap().contains(&format!("shall be Larder. (room {no})"))),
            "room {no}: {items:?}"
        );
    }
    server.stop();
}

#[test]
fn a_stop_in_the_middle_of_writes_keeps_what_was_acknowledged() {
    let mut server = Server::start();
    let client = server.client();
    let (tell, told) = std::sync::mpsc::channel();
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (client, tell) = (client.clone(), tell.clone());
            std::thread::spawn(move || {
                let mut acknowledged = Vec::new();
                for n in 0..10_000 {
                    let id = format!("w{writer}-{n}");
                    let body = json!({"thread_id": "stop", "materials": {"chat": [{"role": "user", "content": format!("turn {id}"), "id": id}]}});
                    match Client::try_send(client.request("POST", "/v1/ingest").json(&body)) {
                        Ok(answer) if answer.status == 200 => acknowledged.push(id),
                        // While it drains it may refuse, and say so; after that nobody is there.
                        Ok(answer) => drop(answer.refused(503, "not_ready")),
                        Err(_) => break,
                    }
                    let _ = tell.send(());
                }
                acknowledged
            })
        })
        .collect();
    for _ in 0..30 {
        told.recv_timeout(std::time::Duration::from_secs(30)).expect("writes go through");
    }

    server.stop();

    let acknowledged: Vec<String> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    server.launch();
    let there: Vec<String> =
        server.client().items("stop").iter().map(|item| item["external_id"].as_str().unwrap().to_owned()).collect();
    for id in &acknowledged {
        assert_eq!(there.iter().filter(|other| *other == id).count(), 1, "{id} was acknowledged before the stop");
    }
}
