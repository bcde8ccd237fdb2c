//! Hostile and odd input: refused or kept, but never a 5xx and never a hang.

use super::{server, workspace};
use crate::support::Answer;
use serde_json::json;
use std::time::{Duration, Instant};

fn alive() {
    assert_eq!(server().anonymous().get("/healthz").status, 200, "the server lives on");
}

fn not_ours(answer: &Answer) {
    assert!(answer.status < 500, "a strange request is not an error of ours: {answer}");
    if answer.status >= 400 {
        answer.shaped();
    }
}

#[test]
fn deep_nesting_is_refused_quickly() {
    let client = workspace();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
        for body in [
            nested.clone(),
            format!(
                "{{\"thread_id\":\"t\",\"materials\":{{\"chat\":\"User: x\"}},\"metadata\":{{\"deep\":{nested}}}}}"
            ),
        ] {
            let begun = Instant::now();
            client.raw("POST", "/v1/ingest", body).refused(400, "invalid_json");
            assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
        }
    }
    alive();
}

#[test]
fn lone_surrogates_and_numbers_beyond_all_bounds_are_refused() {
    let client = workspace();
    for body in [
        r#"{"thread_id":"t","materials":{"chat":"User: \ud800"}}"#,
        r#"{"thread_id":"t","materials":{"chat":"User: \udc00\ud800 x"}}"#,
        r#"{"thread_id":"\ud83d","materials":{"chat":"User: x"}}"#,
        r#"{"thread_id":"t","materials":{"chat":"User: x"},"metadata":{"n":1e400}}"#,
        r#"{"thread_id":"t","materials":{"chat":"User: x"},"metadata":{"n":-1e99999}}"#,
        r#"{"thread_id":"t","purpose":"x","token_budget":1e400}"#,
    ] {
        let path = if body.contains("purpose") { "/v1/recall" } else { "/v1/ingest" };
        let answer = client.raw("POST", path, body);
        answer.shaped();
        assert_eq!(answer.status, 400, "{body}: {answer}");
    }
    alive();
}

#[test]
fn a_list_is_never_taken_for_an_object() {
    let client = workspace();
    client.ingest("t", json!({"chat": "User: hello"}));
    for (path, body) in [
        ("/v1/recall", r#"["t", "hello", 4000, "thread", 5, null, null, false]"#),
        ("/v1/feedback", r#"["E1", "helpful", 1.0, null]"#),
        ("/v1/ingest", r#"["t", {"chat": "User: hi"}, null, null, null]"#),
    ] {
        let answer = client.raw("POST", path, body);
        answer.shaped();
        assert_eq!(answer.status, 400, "{path} {body}: {answer}");
    }
}

#[test]
fn a_field_given_twice_is_refused() {
    let client = workspace();
    for body in [
        r#"{"thread_id":"a","thread_id":"b","materials":{"chat":"User: x"}}"#,
        r#"{"thread_id":"a","materials":{"chat":"User: x","chat":"User: y"}}"#,
    ] {
        let answer = client.raw("POST", "/v1/ingest", body);
        answer.shaped();
        assert_eq!(answer.status, 400, "which of the two would count? {answer}");
    }
}

#[test]
fn odd_characters_are_kept_or_refused_but_never_lost() {
    let client = workspace();
    for (no, words) in [
        "a\u{0}b",
        "\u{1b}[31mred",
        "\u{feff}bom",
        "\u{fffd}\u{ffff}",
        "\u{202e}rtl",
        "🏳️‍🌈 e\u{301}",
        "\r\r\r",
        "a\u{85}b\u{2028}c",
        "%00%0a%0d",
        "${jndi:ldap://x}",
        "'; DROP TABLE items; --",
    ]
    .iter()
    .enumerate()
    {
        let answer = client.post("/v1/ingest", &json!({"thread_id": "odd", "materials": {"chat": [{"role": "user", "content": words, "id": format!("odd-{no}")}]}}));
        not_ours(&answer);
        if answer.status == 200 {
            let kept: Vec<_> =
                client.items("odd").into_iter().filter(|item| item["external_id"] == format!("odd-{no}")).collect();
            assert!(kept.len() == 1 && kept[0]["text"] == *words, "{:?} was acknowledged: {kept:?}", words);
        }
        not_ours(&client.post("/v1/recall", &json!({"thread_id": "odd", "purpose": words})));
        not_ours(&client.post("/v1/recall", &json!({"thread_id": words, "purpose": "x"})));
    }
    alive();
}

#[test]
fn a_megabyte_without_a_blank_goes_in_and_comes_out() {
    let client = workspace();
    for (thread, unit) in [
        ("same", "a"),
        ("hex", "0123456789abcdef"),
        ("wide", "漢"),
        ("at", "a@"),
        ("dots", "1.2."),
        ("open", "```"),
        ("brackets", "[["),
        ("lines", "\n-"),
        ("diff", "@@ -1 +1 @@\n"),
    ] {
        let words = unit.repeat(300_000 / unit.len());
        let begun = Instant::now();

        let answer = client.post(
            "/v1/ingest",
            &json!({"thread_id": thread, "materials": {"chat": [{"role": "user", "content": words, "id": "x"}]}}),
        );

        assert_eq!(answer.status, 200, "{thread}: {answer}");
        not_ours(&client.post(
            "/v1/recall",
            &json!({"thread_id": thread, "purpose": &words[..words.len() / 9 / unit.len() * unit.len()]}),
        ));
        assert!(begun.elapsed() < Duration::from_secs(20), "{thread} took {:?}", begun.elapsed());
    }
    let long = "a".repeat(1_000_000);
    client.chat("mega", &[json!({"role": "user", "content": long, "id": "mega"})]);
    let item = client.items("mega").into_iter().find(|item| item["external_id"] == "mega").unwrap();
    let raw = client.get(&format!("/v1/expand/{}/raw", item["id"].as_str().unwrap())).text();
    assert!(raw == long, "a megabyte comes back whole ({} bytes)", raw.len());
    alive();
}

#[test]
fn odd_diffs_and_logs_are_kept_somehow() {
    let client = workspace();
    let materials = [
        json!({"diffs": "@@ -1,99999999999999999999 +1 @@\n+x"}),
        json!({"diffs": "diff --git a/x b/x\n@@@@@@\n@@ -a,b +c,d @@\n"}),
        json!({"diffs": "--- /dev/null\n+++ b/../../etc/passwd\n@@ -0,0 +1 @@\n+root"}),
        json!({"diffs": "Binary files a/x.png and b/x.png differ"}),
        json!({"logs": "9999-99-99 99:99:99 ERROR no such day"}),
        json!({"logs": "{\"level\":\"error\",\"msg\":"}),
        json!({"logs": "Traceback (most recent call last):\n"}),
        json!({"logs": format!("ERROR {}", "\tat a.b.C(D.java:1)\n".repeat(5_000))}),
        json!({"chat": "no speaker at all, just words"}),
        json!({"chat": ":::: \n: x\nUser:\nUser:\n"}),
    ];
    for (no, materials) in materials.iter().enumerate() {
        let thread = format!("odd-{no}");
        let answer = client.post("/v1/ingest", &json!({"thread_id": thread, "materials": materials}));
        not_ours(&answer);
        if answer.status == 200 {
            assert!(!client.items(&thread).is_empty(), "acknowledged, so kept: {materials}");
        }
    }
    alive();
}

#[test]
fn many_fields_and_long_names_are_no_burden() {
    let client = workspace();
    let many: serde_json::Map<String, serde_json::Value> = (0..50_000).map(|n| (format!("k{n}"), json!(n))).collect();
    let begun = Instant::now();

    not_ours(
        &client.post("/v1/ingest", &json!({"thread_id": "many", "materials": {"chat": "User: x"}, "metadata": many})),
    );
    client.post("/v1/recall", &json!(many)).refused(400, "unknown_field");
    not_ours(&client.post("/v1/ingest", &json!({"thread_id": "n".repeat(100_000), "materials": {"chat": "User: x"}})));
    not_ours(&client.get(&format!("/v1/threads/{}", "n".repeat(6_000))));
    not_ours(&client.post("/v1/recall", &json!({"thread_id": "many", "purpose": "x", "filters": {"tags": (0..20_000).map(|n| n.to_string()).collect::<Vec<_>>()}})));

    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    alive();
}
