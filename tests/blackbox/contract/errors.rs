//! Every refusal that the interface names: which request, which status, which code, which field.

use super::{server, workspace};
use crate::support::server::{ADMIN_TOKEN, API_KEY};
use crate::support::{Answer, Client, Server, encoded};
use serde_json::{Value, json};

/// A request that is refused: method, path, body, status, code, and what `param` may be (none: anything).
type Row<'a> = (&'a str, &'a str, Option<Value>, u16, &'a str, &'a [&'a str]);

fn check(client: &Client, rows: &[Row<'_>]) {
    let mut wrong = Vec::new();
    for (method, path, body, status, code, params) in rows {
        let answer = match body {
            Some(body) => client.json(method, path, body),
            None => Client::send(client.request(method, path)),
        };
        let sent = body.as_ref().map(Value::to_string).unwrap_or_default();
        let outcome = std::panic::catch_unwind(|| {
            let error = answer.refused(*status, code);
            let param = error["param"].as_str();
            assert!(
                params.is_empty() || params.iter().any(|known| param == Some(known)),
                "param is one of {params:?}: {answer}"
            );
        });
        if outcome.is_err() {
            wrong.push(format!("{method} {path} {sent}\n    wanted {status} {code} {params:?}\n    got {answer}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} refusals are not as promised:\n  {}",
        wrong.len(),
        rows.len(),
        wrong.join("\n  ")
    );
}

fn chat() -> Value {
    json!({"chat": "User: hello"})
}

#[test]
fn bodies_that_a_route_does_not_know_are_refused_by_field() {
    let client = workspace();
    client.ingest("t", chat());
    let ingest = |body: Value, code: &'static str, params: &'static [&'static str]| {
        ("POST", "/v1/ingest", Some(body), 400, code, params)
    };
    let recall = |body: Value, code: &'static str, params: &'static [&'static str]| {
        ("POST", "/v1/recall", Some(body), 400, code, params)
    };
    let set = |body: Value, code: &'static str, params: &'static [&'static str]| {
        ("POST", "/v1/workingset", Some(body), 400, code, params)
    };
    let feedback = |body: Value, code: &'static str, params: &'static [&'static str]| {
        ("POST", "/v1/feedback", Some(body), 400, code, params)
    };

    check(
        &client,
        &[
            ingest(json!({"thread_id": "t", "materials": chat(), "colour": 1}), "unknown_field", &["colour"]),
            ingest(
                json!({"thread_id": "t", "materials": {"chats": "User: hello"}}),
                "unknown_field",
                &["materials.chats"],
            ),
            ingest(
                json!({"thread_id": "t", "materials": {"chat": [{"role": "user", "content": "x", "mood": 1}]}}),
                "unknown_field",
                &["materials.chat[0].mood", "materials.chat.0.mood"],
            ),
            ingest(
                json!({"thread_id": "t", "materials": {"items": [{"kind": "note", "body": "x"}, {"kind": "note", "body": "x", "workspace_id": "w"}]}}),
                "unknown_field",
                &["materials.items[1].workspace_id", "materials.items.1.workspace_id"],
            ),
            ingest(
                json!({"thread_id": "t", "materials": {"items": [{"kind": "note", "body": "x", "salience": 1}]}}),
                "unknown_field",
                &["materials.items[0].salience", "materials.items.0.salience"],
            ),
            ingest(
                json!({"thread_id": "t", "materials": {"logs": [{"content": "x", "level": 1}]}}),
                "unknown_field",
                &["materials.logs[0].level", "materials.logs.0.level"],
            ),
            ingest(
                json!({"thread_id": "t", "materials": chat(), "workspace_id": "other"}),
                "unknown_field",
                &["workspace_id"],
            ),
            ingest(json!({"materials": chat()}), "missing_field", &["thread_id"]),
            ingest(json!({"thread_id": "t"}), "missing_field", &["materials"]),
            ingest(
                json!({"thread_id": "t", "materials": {"chat": [{"role": "user"}]}}),
                "missing_field",
                &["materials.chat[0].content", "materials.chat.0.content"],
            ),
            ingest(
                json!({"thread_id": "t", "materials": {"items": [{"body": "x"}]}}),
                "missing_field",
                &["materials.items[0].kind", "materials.items.0.kind"],
            ),
            ingest(json!({"thread_id": "t", "materials": {}}), "empty_materials", &["materials"]),
            ingest(json!({"thread_id": "t", "materials": {"chat": ""}}), "empty_materials", &[]),
            ingest(
                json!({"thread_id": "t", "materials": {"chat": [], "diffs": [], "logs": "  \n", "items": []}}),
                "empty_materials",
                &[],
            ),
            ingest(json!({"thread_id": "", "materials": chat()}), "invalid_value", &["thread_id"]),
            ingest(json!({"thread_id": 7, "materials": chat()}), "invalid_value", &["thread_id"]),
            ingest(json!({"thread_id": "t", "materials": "User: hello"}), "invalid_value", &["materials"]),
            ingest(json!({"thread_id": "t", "materials": {"chat": 5}}), "invalid_value", &["materials.chat"]),
            ingest(
                json!({"thread_id": "t", "materials": {"items": [{"kind": "novel", "body": "x"}]}}),
                "invalid_value",
                &["materials.items[0].kind", "materials.items.0.kind"],
            ),
            ingest(
                json!({"thread_id": "t", "materials": chat(), "observed_at": "yesterday"}),
                "invalid_value",
                &["observed_at"],
            ),
            ingest(json!({"thread_id": "t", "materials": chat(), "metadata": "x"}), "invalid_value", &["metadata"]),
            recall(json!({"thread_id": "t", "purpose": "x", "colour": 1}), "unknown_field", &["colour"]),
            recall(
                json!({"thread_id": "t", "purpose": "x", "filters": {"kind": "chat"}}),
                "unknown_field",
                &["filters.kind"],
            ),
            recall(json!({"purpose": "x"}), "missing_field", &["thread_id"]),
            recall(json!({"purpose": "x", "scope": "thread"}), "missing_field", &["thread_id"]),
            recall(json!({"thread_id": "t"}), "missing_field", &["purpose"]),
            recall(json!({"thread_id": "t", "purpose": ""}), "empty_purpose", &["purpose"]),
            recall(json!({"thread_id": "t", "purpose": " \n\t\u{2003}"}), "empty_purpose", &["purpose"]),
            recall(json!({"thread_id": "t", "purpose": 5}), "invalid_value", &["purpose"]),
            recall(json!({"thread_id": "t", "purpose": "x", "token_budget": -5}), "invalid_value", &["token_budget"]),
            recall(json!({"thread_id": "t", "purpose": "x", "token_budget": 0}), "invalid_value", &["token_budget"]),
            recall(json!({"thread_id": "t", "purpose": "x", "token_budget": 1.5}), "invalid_value", &["token_budget"]),
            recall(
                json!({"thread_id": "t", "purpose": "x", "token_budget": "many"}),
                "invalid_value",
                &["token_budget"],
            ),
            recall(json!({"thread_id": "t", "purpose": "x", "top_k": 0}), "invalid_value", &["top_k"]),
            recall(json!({"thread_id": "t", "purpose": "x", "top_k": 99_999_999_999_u64}), "invalid_value", &["top_k"]),
            recall(json!({"thread_id": "t", "purpose": "x", "scope": "galaxy"}), "invalid_value", &["scope"]),
            recall(json!({"thread_id": "t", "purpose": "x", "as_of": "yesterday"}), "invalid_value", &["as_of"]),
            recall(json!({"thread_id": "t", "purpose": "x", "explain": "yes"}), "invalid_value", &["explain"]),
            recall(
                json!({"thread_id": "t", "purpose": "x", "filters": {"kinds": ["novel"]}}),
                "invalid_value",
                &["filters.kinds[0]", "filters.kinds.0", "filters.kinds"],
            ),
            recall(
                json!({"thread_id": "t", "purpose": "x", "filters": {"after": "2025-13-01T00:00:00Z"}}),
                "invalid_value",
                &["filters.after"],
            ),
            recall(
                json!({"thread_id": "t", "purpose": "x", "filters": {"tags": "auth"}}),
                "invalid_value",
                &["filters.tags"],
            ),
            set(json!({"thread_id": "t", "purpose": "x", "colour": 1}), "unknown_field", &["colour"]),
            set(json!({"thread_id": "t", "purpose": ""}), "empty_purpose", &["purpose"]),
            set(json!({"purpose": "x"}), "missing_field", &["thread_id"]),
            set(json!({"thread_id": "t", "purpose": "x", "token_budget": 0}), "invalid_value", &["token_budget"]),
            feedback(json!({"feedback_type": "helpful", "value": 1.0}), "missing_field", &["item_id"]),
            feedback(json!({"item_id": "E1", "value": 1.0}), "missing_field", &["feedback_type"]),
            feedback(
                json!({"item_id": "E1", "feedback_type": "lovely", "value": 1.0}),
                "invalid_value",
                &["feedback_type"],
            ),
            feedback(json!({"item_id": "E1", "feedback_type": "helpful", "value": 1.01}), "invalid_value", &["value"]),
            feedback(json!({"item_id": "E1", "feedback_type": "helpful", "value": -0.01}), "invalid_value", &["value"]),
            feedback(json!({"item_id": "E1", "feedback_type": "helpful", "value": "1"}), "invalid_value", &["value"]),
            feedback(
                json!({"item_id": "E1", "feedback_type": "helpful", "value": 1.0, "salience": 1}),
                "unknown_field",
                &["salience"],
            ),
            feedback(json!({"item_id": "X1", "feedback_type": "helpful", "value": 1.0}), "invalid_value", &["item_id"]),
            ("PATCH", "/v1/items/E1", Some(json!({"id": "E9"})), 400, "unknown_field", &["id"]),
            ("PATCH", "/v1/items/E1", Some(json!({"salience": 1.0})), 400, "unknown_field", &["salience"]),
            ("PATCH", "/v1/items/E1", Some(json!({"thread_id": "other"})), 400, "unknown_field", &["thread_id"]),
            ("PATCH", "/v1/items/E1", Some(json!({"text": 5})), 400, "invalid_value", &["text"]),
            ("PATCH", "/v1/items/E1", Some(json!({"text": "  "})), 400, "invalid_value", &["text"]),
            ("PATCH", "/v1/items/E1", Some(json!({"status": "splendid"})), 400, "invalid_value", &["status"]),
        ],
    );
}

#[test]
fn queries_that_a_route_does_not_know_are_refused_by_field() {
    let client = workspace();
    client.ingest("t", chat());

    check(
        &client,
        &[
            ("GET", "/v1/threads?colour=1", None, 400, "unknown_field", &["colour"]),
            ("GET", "/v1/threads?limit=0", None, 400, "invalid_value", &["limit"]),
            ("GET", "/v1/threads?limit=501", None, 400, "invalid_value", &["limit"]),
            ("GET", "/v1/threads?limit=-1", None, 400, "invalid_value", &["limit"]),
            ("GET", "/v1/threads?limit=many", None, 400, "invalid_value", &["limit"]),
            ("GET", "/v1/threads/t/items?limit=0", None, 400, "invalid_value", &["limit"]),
            ("GET", "/v1/threads/t/items?colour=1", None, 400, "unknown_field", &["colour"]),
            ("GET", "/v1/threads?cursor=nonsense", None, 400, "invalid_cursor", &["cursor"]),
            ("GET", "/v1/threads?cursor=%00", None, 400, "invalid_cursor", &["cursor"]),
            ("GET", "/v1/threads/t/items?cursor=E1", None, 400, "invalid_cursor", &["cursor"]),
            ("GET", "/v1/threads/t/items?cursor=AAAAAAAAAAAAAAAAAAAAAA", None, 400, "invalid_cursor", &["cursor"]),
        ],
    );
}

#[test]
fn a_cursor_of_another_list_is_refused() {
    let client = workspace();
    for n in 0..3 {
        client.ingest(
            &format!("t{n}"),
            json!({"chat": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}),
        );
    }
    let cursor = |path: &str| encoded(client.get(path).done()["next_cursor"].as_str().expect("there is more"));
    let (threads, items) = (cursor("/v1/threads?limit=1"), cursor("/v1/threads/t0/items?limit=1"));

    client.get(&format!("/v1/threads/t0/items?cursor={threads}")).refused(400, "invalid_cursor");
    client.get(&format!("/v1/threads?cursor={items}")).refused(400, "invalid_cursor");
    let mut damaged = items.clone();
    damaged.push('A');
    client.get(&format!("/v1/threads/t0/items?cursor={damaged}")).refused(400, "invalid_cursor");
}

#[test]
fn what_is_not_an_id_is_refused_as_such() {
    let client = workspace();
    client.ingest("t", chat());
    for odd in [
        "X12",
        "E0",
        "E01",
        "e1",
        "E",
        "E-1",
        "E1x",
        "12",
        "E99999999999999999999",
        "CODE:",
        "CODE:a.py",
        "E1 ",
        "Ä1",
        "..",
        "%",
    ] {
        // A lone `..` would be taken out of the path by the client, so its dots are encoded too.
        let segment = encoded(odd).replace('.', "%2E");
        for path in
            [format!("/v1/items/{segment}"), format!("/v1/expand/{segment}"), format!("/v1/expand/{segment}/raw")]
        {
            let answer = client.get(&path);
            let error = answer.shaped();
            let known = [(400, "invalid_id"), (404, "not_found")];
            let got = (answer.status, error["code"].as_str().unwrap());
            assert!(known.contains(&got), "`{odd}` is no id: {answer}");
            // Path segments of dots are resolved by many clients, so a 404 is as good an answer there.
            assert!(got.0 == 400 || odd == "..", "`{odd}` is no id: {answer}");
        }
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let client = workspace();
    client.ingest("t", chat());

    check(
        &client,
        &[
            ("POST", "/v1/recall", Some(json!({"thread_id": "none", "purpose": "x"})), 404, "not_found", &[]),
            ("POST", "/v1/workingset", Some(json!({"thread_id": "none", "purpose": "x"})), 404, "not_found", &[]),
            (
                "POST",
                "/v1/feedback",
                Some(json!({"item_id": "E999", "feedback_type": "helpful", "value": 1.0})),
                404,
                "not_found",
                &[],
            ),
            ("GET", "/v1/expand/E999", None, 404, "not_found", &[]),
            ("GET", "/v1/expand/S999/raw", None, 404, "not_found", &[]),
            ("GET", "/v1/expand/CODE%3Anone.py%23L1-L2", None, 404, "not_found", &[]),
            ("GET", "/v1/items/E999", None, 404, "not_found", &[]),
            ("PATCH", "/v1/items/E999", Some(json!({"text": "x"})), 404, "not_found", &[]),
            ("DELETE", "/v1/items/E999", None, 404, "not_found", &[]),
            ("GET", "/v1/threads/none", None, 404, "not_found", &[]),
            ("GET", "/v1/threads/none/items", None, 404, "not_found", &[]),
            ("GET", "/v1/threads/none/export", None, 404, "not_found", &[]),
            ("DELETE", "/v1/threads/none", None, 404, "not_found", &[]),
            ("GET", "/v1/none", None, 404, "not_found", &[]),
            ("POST", "/v1/recal", Some(json!({})), 404, "not_found", &[]),
            ("GET", "/none", None, 404, "not_found", &[]),
            ("GET", "/v1/items/E1/more", None, 404, "not_found", &[]),
            ("GET", "/v2/threads", None, 404, "not_found", &[]),
        ],
    );
}

#[test]
fn a_method_that_a_route_does_not_take_is_refused_with_those_it_does() {
    let client = workspace();
    for (method, path, allowed) in [
        ("GET", "/v1/ingest", "POST"),
        ("PUT", "/v1/recall", "POST"),
        ("DELETE", "/v1/workingset", "POST"),
        ("POST", "/v1/threads", "GET"),
        ("POST", "/v1/items/E1", "PATCH"),
        ("PUT", "/v1/threads/t", "DELETE"),
        ("POST", "/v1/expand/E1", "GET"),
        ("POST", "/healthz", "GET"),
    ] {
        let answer = Client::send(client.request(method, path));

        answer.refused(405, "method_not_allowed");
        let allow = answer.header("allow").unwrap_or_default().to_uppercase();
        assert!(allow.contains(allowed), "{method} {path}: `Allow` names {allowed}, not `{allow}`");
    }
}

#[test]
fn without_a_good_key_nothing_is_answered() {
    let server = server();
    let send = |authorization: Option<&str>, path: &str| {
        let request = server.anonymous().request("GET", path);
        Client::send(match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        })
    };
    let unknown = format!("Bearer cmg_{}", "x".repeat(43));
    let cut = format!("Bearer {}", &API_KEY[..API_KEY.len() - 1]);
    let longer = format!("Bearer {API_KEY}x");
    let basic = format!("Basic {API_KEY}");
    let bare = API_KEY.to_owned();
    let admin = format!("Bearer {ADMIN_TOKEN}");
    for path in ["/v1/threads", "/v1/items/E1", "/v1/expand/E1/raw", "/v1/threads/t/export"] {
        send(None, path).refused(401, "missing_api_key");
        for value in ["", "Bearer", "Bearer ", basic.as_str(), bare.as_str()] {
            let answer = send(Some(value), path);
            let code = answer.shaped()["code"].as_str().unwrap().to_owned();
            assert!(
                answer.status == 401 && ["missing_api_key", "invalid_api_key"].contains(&code.as_str()),
                "`{value}`: {answer}"
            );
        }
        for value in [unknown.as_str(), cut.as_str(), longer.as_str(), admin.as_str(), "Bearer cmg_", "Bearer nonsense"]
        {
            send(Some(value), path).refused(401, "invalid_api_key");
        }
    }
    for (path, body) in [
        ("/v1/ingest", json!({"thread_id": "t", "materials": {"chat": "User: x"}})),
        ("/v1/recall", json!({"thread_id": "t", "purpose": "x"})),
        ("/v1/feedback", json!({})),
    ] {
        server.anonymous().post(path, &body).refused(401, "missing_api_key");
    }
    assert_eq!(
        send(Some(&format!("bearer {API_KEY}")), "/v1/threads").status,
        200,
        "the scheme's case does not matter"
    );
}

#[test]
fn the_admin_api_wants_the_admin_token() {
    let server = server();
    for client in [
        server.anonymous(),
        server.client(),
        server.with_key("wrong-token"),
        server.with_key(&ADMIN_TOKEN[..ADMIN_TOKEN.len() - 1]),
    ] {
        for answer in [
            client.get("/admin/api/keys"),
            client.post("/admin/api/keys", &json!({"workspace_id": "w", "name": "n"})),
            client.patch("/admin/api/keys/x", &json!({"name": "n"})),
            client.delete("/admin/api/keys/x"),
        ] {
            answer.refused(401, "admin_token_required");
        }
    }

    check(
        &server.admin(),
        &[
            ("POST", "/admin/api/keys", Some(json!({"name": "n"})), 400, "missing_field", &["workspace_id"]),
            (
                "POST",
                "/admin/api/keys",
                Some(json!({"workspace_id": "a/b", "name": "n"})),
                400,
                "invalid_value",
                &["workspace_id"],
            ),
            (
                "POST",
                "/admin/api/keys",
                Some(json!({"workspace_id": "", "name": "n"})),
                400,
                "invalid_value",
                &["workspace_id"],
            ),
            (
                "POST",
                "/admin/api/keys",
                Some(json!({"workspace_id": "w", "name": "n", "colour": 1})),
                400,
                "unknown_field",
                &["colour"],
            ),
            (
                "POST",
                "/admin/api/keys",
                Some(json!({"workspace_id": "w", "name": "n", "expires_at": "soon"})),
                400,
                "invalid_value",
                &["expires_at"],
            ),
            (
                "POST",
                "/admin/api/keys",
                Some(json!({"workspace_id": "w", "name": "n", "rpm_limit": -1})),
                400,
                "invalid_value",
                &["rpm_limit"],
            ),
            ("PATCH", "/admin/api/keys/none", Some(json!({"name": "n"})), 404, "not_found", &[]),
            ("DELETE", "/admin/api/keys/none", None, 404, "not_found", &[]),
            ("GET", "/admin/api/none", None, 404, "not_found", &[]),
        ],
    );
}

#[test]
fn a_body_that_is_not_json_is_refused_with_the_place() {
    let client = workspace();
    for body in [
        &b""[..],
        b"   ",
        b"{",
        b"{\"thread_id\":",
        b"nonsense",
        b"{\"thread_id\":\"a\"} x",
        b"{\"thread_id\":\"\xff\xfe\"}",
        b"\xef\xbb\xbf{}",
        b"{'a':1}",
        b"{\"a\":01}",
        b"{\"a\":NaN}",
    ] {
        client.raw("POST", "/v1/ingest", body).refused(400, "invalid_json");
    }
    for body in ["[]", "null", "\"text\"", "5"] {
        let answer = client.raw("POST", "/v1/recall", body);
        let code = answer.shaped()["code"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && ["invalid_json", "invalid_value"].contains(&code.as_str()), "{body}: {answer}");
    }
    let message = client.raw("POST", "/v1/recall", "{\n  \"purpose\": }").refused(400, "invalid_json")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(message.contains("line 2"), "the message says where: {message}");
}

#[test]
fn a_body_that_is_announced_as_something_else_is_refused() {
    let client = workspace();
    let body = json!({"thread_id": "t", "materials": chat()}).to_string();
    let send = |name: &str, value: &str| {
        let request = client.request("POST", "/v1/ingest").header(name, value);
        let request = if name == "content-type" { request } else { request.header("content-type", "application/json") };
        Client::send(request.body(body.clone()))
    };

    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data; boundary=x"]
    {
        send("content-type", kind).refused(415, "unsupported_media_type");
    }
    for coding in ["br", "zstd", "compress", "nonsense"] {
        send("content-encoding", coding).refused(415, "unsupported_media_type");
    }
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(send("content-type", kind).status, 200, "{kind}");
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_and_nothing_of_it_kept() {
    let server = Server::start_with(&[("CMG_SERVER_MAX_BODY_BYTES", "65536")]);
    let client = server.client();
    let body = |bytes: usize| json!({"thread_id": "big", "materials": {"logs": "x".repeat(bytes)}}).to_string();
    let chunked = |body: String| {
        let reader = reqwest::blocking::Body::new(std::io::Cursor::new(body));
        Client::try_send(client.request("POST", "/v1/ingest").header("content-type", "application/json").body(reader))
    };

    // A server may close a connection whose body it does not want to read; then there is no answer to look at.
    let answers = [
        Client::try_send(
            client.request("POST", "/v1/ingest").header("content-type", "application/json").body(body(70_000)),
        ),
        chunked(body(70_000)),
        chunked(body(3_000_000)),
    ];

    let told: Vec<Value> = answers.into_iter().flatten().map(|answer| answer.refused(413, "body_too_large")).collect();
    assert!(told.len() >= 2, "a body just above the limit is refused in words");
    client.get("/v1/threads/big").refused(404, "not_found");
    assert_eq!(client.raw("POST", "/v1/ingest", body(60_000)).status, 200, "just below the limit all is well");
}

#[test]
fn a_server_that_rejects_sensitive_data_says_so_and_keeps_nothing() {
    let server = Server::start_with(&[("CMG_MEMORY_REDACTION", "reject")]);
    let client = server.client();
    let ingest = |words: &str| {
        client
            .post("/v1/ingest", &json!({"thread_id": "t", "materials": {"chat": [{"role": "user", "content": words}]}}))
    };

    let error = ingest("Mail me at dora@example.org").refused(422, "sensitive_data");

    assert!(!error.to_string().contains("dora"), "the refusal does not repeat it: {error}");
    client.get("/v1/threads/t").refused(404, "not_found");
    assert_eq!(ingest("Mail me at the usual address").status, 200);
}

#[test]
fn errors_have_one_shape_on_every_path_and_method() {
    let client = workspace();
    let send = |method: &str, path: &str| -> Answer { Client::send(client.request(method, path)) };
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/threads/",
        "//v1/threads",
        "/V1/threads",
        "/v1/threads/%2e%2e",
        "/admin/api",
        "/v1/ingest/",
        "/v1/items/",
        "/.env",
        "/v1/threads/t;x=1/items",
        "/%",
        "/%zz",
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
            let answer = send(method, path);
            assert!(answer.status < 500, "{method} {path}: {answer}");
            if answer.status >= 400 {
                answer.shaped();
            }
        }
    }
}
