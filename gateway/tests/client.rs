//! The client against an upstream that misbehaves: what is passed on, what is refused, what is tried
//! again, and what is cancelled.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use bytes::Bytes;
use cmg_gateway::{
    Breakers, Call, ChunkKind, End, Failure, FailureKind, Gateway, Key, Nanos, Reply, Settings, State, Stream,
    Upstream, Whole,
};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

const SECRET: &str = "sk-or-v1-very-secret";
const CHUNK: &str = r#"{"id":"gen-1","provider":"P","model":"a/b","choices":[{"index":0,"delta":{"content":"Hi"}}]}"#;
const LAST: &str = r#"{"id":"gen-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"cost":0.00014}}"#;

/// What the upstream does with one request.
#[derive(Clone)]
enum Step {
    Send(Vec<u8>),
    /// One byte at a time.
    Drip(Vec<u8>),
    Wait(u64),
    /// Waits until the client is gone.
    Hang,
    Close,
}

#[derive(Default)]
struct Notes {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    /// Hanging requests whose client went away.
    gone: AtomicUsize,
    /// Hanging requests.
    hanging: AtomicUsize,
}

struct Server {
    base: String,
    notes: Arc<Notes>,
}

impl Server {
    /// The n-th request gets the n-th script, and the last one all further requests.
    async fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let notes = Arc::new(Notes::default());
        let (shared, scripts) = (Arc::clone(&notes), Arc::new(scripts));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(socket, Arc::clone(&shared), Arc::clone(&scripts)));
            }
        });
        Self { base, notes }
    }

    fn requests(&self) -> usize {
        self.notes.requests.lock().unwrap().len()
    }

    async fn until(&self, what: impl Fn(&Notes) -> bool) {
        let wait = async {
            while !what(&self.notes) {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(3), wait).await.expect("it never came to that");
    }
}

async fn serve(mut socket: TcpStream, notes: Arc<Notes>, scripts: Arc<Vec<Vec<Step>>>) {
    while let Some(request) = read_request(&mut socket).await {
        let number = {
            let mut requests = notes.requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        for step in scripts.get(number).or_else(|| scripts.last()).unwrap() {
            match step {
                Step::Send(bytes) => drop(socket.write_all(bytes).await),
                Step::Drip(bytes) => {
                    for byte in bytes {
                        drop(socket.write_all(&[*byte]).await);
                        tokio::task::yield_now().await;
                    }
                }
                Step::Wait(millis) => sleep(Duration::from_millis(*millis)).await,
                Step::Hang => {
                    notes.hanging.fetch_add(1, Ordering::SeqCst);
                    let mut rest = [0; 64];
                    while socket.read(&mut rest).await.is_ok_and(|read| read > 0) {}
                    notes.gone.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                Step::Close => return,
            }
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().unwrap() {
                return Some(text);
            }
        }
        let mut piece = [0; 4096];
        let read = socket.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&piece[..read]);
    }
}

fn send(text: impl Into<String>) -> Step {
    Step::Send(text.into().into_bytes())
}

fn whole(status: &str, more: &str, body: &str) -> Step {
    let length = body.len();
    send(format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n{body}"))
}

fn refusal(status: u16, more: &str) -> Step {
    let body = format!(r#"{{"error":{{"code":{status},"message":"bad {SECRET}","metadata":{{"error_type":"x"}}}}}}"#);
    whole(&format!("{status} X"), more, &body)
}

fn head() -> Step {
    send(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-generation-id: gen-h\r\ntransfer-encoding: chunked\r\n\r\n",
    )
}

/// A piece of a chunked body.
fn piece(text: &str) -> Step {
    send(format!("{:x}\r\n{text}\r\n", text.len()))
}

fn event(json: &str) -> Step {
    piece(&format!("data: {json}\n\n"))
}

fn over() -> Step {
    send("0\r\n\r\n")
}

fn good() -> Vec<Step> {
    vec![head(), event(CHUNK), event(LAST), event("[DONE]"), over()]
}

fn settings() -> Settings {
    Settings {
        connect: Duration::from_millis(300),
        first_byte: Duration::from_millis(250),
        idle: Duration::from_millis(200),
        total: Duration::from_secs(4),
        max_answer: 100_000,
        attempts: 2,
        keep_alive: Duration::ZERO,
    }
}

fn gateway(settings: Settings) -> Gateway {
    let breakers = Breakers::new(100, Duration::from_secs(60), Duration::from_secs(60));
    Gateway::new(settings, Arc::new(breakers)).unwrap()
}

fn call(base: &str, streamed: bool) -> Call {
    Call {
        upstream: Arc::new(Upstream {
            name: "up".into(),
            base: base.into(),
            key: Some(Key::new(SECRET.into()).unwrap()),
            extra: vec![(HeaderName::from_static("x-title"), HeaderValue::from_static("cmg"))],
        }),
        method: Method::POST,
        path: "/chat/completions".into(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(br#"{"model":"a/b" }"#),
        model: "a/b".into(),
        streamed,
        wants_chunks: ChunkKind::Chat,
    }
}

fn other(base: &str, streamed: bool) -> Call {
    Call { wants_chunks: ChunkKind::Other, path: "/responses".into(), ..call(base, streamed) }
}

async fn stream(server: &Server) -> Stream {
    open(gateway(settings()), call(&server.base, true)).await
}

async fn open(gateway: Gateway, call: Call) -> Stream {
    match gateway.call(call).await.unwrap() {
        Reply::Stream(stream) => stream,
        Reply::Whole(whole) => panic!("not a stream: {whole:?}"),
    }
}

async fn answer(server: &Server) -> Whole {
    match gateway(settings()).call(call(&server.base, false)).await.unwrap() {
        Reply::Whole(whole) => whole,
        Reply::Stream(stream) => panic!("a stream: {stream:?}"),
    }
}

async fn failure(server: &Server, streamed: bool) -> Failure {
    failure_of(gateway(settings()), call(&server.base, streamed)).await
}

async fn failure_of(gateway: Gateway, call: Call) -> Failure {
    let failure = gateway.call(call).await.map(|reply| format!("{reply:?}")).unwrap_err();
    let shown = format!("{failure} {failure:?}");
    assert!(!shown.contains("sk-or"), "the key is in {shown}");
    failure
}

async fn rest(stream: &mut Stream) -> String {
    let mut all = Vec::new();
    let read = async {
        while let Some(bytes) = stream.next().await {
            assert!(bytes.ends_with(b"\n") || bytes.ends_with(b"\r"), "no whole frame: {bytes:?}");
            all.extend_from_slice(&bytes);
        }
    };
    timeout(Duration::from_secs(3), read).await.expect("the stream never ends");
    String::from_utf8(all).unwrap()
}

/// The error frame at the end of what was given out.
fn error_frame(text: &str) -> serde_json::Value {
    let frame = text.trim_end().rsplit("\n\n").next().unwrap();
    assert!(!text.contains("[DONE]"), "{text}");
    let error: serde_json::Value = serde_json::from_str(frame.rsplit_once("data: ").unwrap().1).unwrap();
    assert!(
        error["error"]["message"]
            .as_str()
            .is_some_and(|message| message.contains("stream") || message.contains("event"))
    );
    error
}

// ---- whole answers

#[tokio::test]
async fn a_whole_answer_passes_as_it_came_and_is_counted() {
    let body = r#" {"id":"gen-1","provider":"P","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"cost":1.4e-4}}"#;
    let more = "x-generation-id: gen-h\r\nset-cookie: a=b\r\nx-ratelimit-limit: 20\r\n";
    let server = Server::start(vec![vec![whole("200 OK", more, body)]]).await;

    let whole = answer(&server).await;

    assert_eq!((whole.status, whole.attempts, &whole.body[..]), (200, 1, body.as_bytes()));
    assert_eq!(whole.tally.generation_id.as_deref(), Some("gen-h"));
    assert_eq!((whole.tally.text.as_str(), whole.tally.usage.unwrap().cost), ("Hi", Some(Nanos(140_000))));
    assert!(whole.tally.first_byte.is_some());
    assert_eq!(whole.headers["x-upstream-ratelimit-limit"], "20");
    assert!(!whole.headers.contains_key("set-cookie") && !whole.headers.contains_key("content-length"));
}

#[tokio::test]
async fn a_request_leaves_as_it_came_with_the_upstreams_key_alone() {
    let server = Server::start(vec![vec![whole("200 OK", "", "{}")]]).await;
    let mut call = call(&server.base, false);
    call.headers.insert("authorization", HeaderValue::from_static("Bearer ours"));
    call.headers.insert("cookie", HeaderValue::from_static("c=1"));
    call.headers.insert("x-cmg-memory", HeaderValue::from_static("on"));
    call.headers.insert("x-openrouter-metadata", HeaderValue::from_static("enabled"));

    gateway(settings()).call(call).await.unwrap();

    let seen = server.notes.requests.lock().unwrap()[0].to_lowercase();
    assert!(seen.starts_with("post /api/v1/chat/completions http/1.1"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n{\"model\":\"a/b\" }"), "{seen}");
    for there in [
        &format!("authorization: bearer {SECRET}"),
        "x-title: cmg",
        "x-openrouter-metadata: enabled",
        "accept-encoding: identity",
    ] {
        assert!(seen.contains(there), "{there} is missing in {seen}");
    }
    for absent in ["bearer ours", "cookie", "x-cmg"] {
        assert!(!seen.contains(absent), "{absent} is in {seen}");
    }
}

#[tokio::test]
async fn a_429_is_tried_again_after_the_time_that_it_names() {
    let server =
        Server::start(vec![vec![refusal(429, "retry-after-ms: 120\r\n")], vec![whole("200 OK", "", "{\"id\":\"x\"}")]])
            .await;
    let begun = Instant::now();

    let whole = answer(&server).await;

    assert_eq!((whole.attempts, server.requests()), (2, 2));
    assert!(begun.elapsed() >= Duration::from_millis(120));
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_not_begun_and_the_client_is_told_of_it() {
    let server = Server::start(vec![vec![refusal(429, "retry-after: 60\r\nx-ratelimit-remaining: 0\r\n")]]).await;

    let failure = failure(&server, false).await;

    assert_eq!((failure.kind, failure.status, failure.attempts), (FailureKind::Refused, 429, 1));
    assert_eq!(failure.retry_after, Some(Duration::from_secs(60)));
    assert_eq!((failure.error_type.as_str(), failure.message.as_str()), ("x", "bad ***"));
    assert_eq!(failure.headers["retry-after"], "60");
    assert_eq!(failure.headers["x-upstream-ratelimit-remaining"], "0");
}

#[tokio::test]
async fn what_cannot_get_better_is_asked_once() {
    for status in [400, 401, 402, 403, 404, 413, 422] {
        let server = Server::start(vec![vec![refusal(status, "")]]).await;

        let failure = failure(&server, true).await;

        assert_eq!((failure.kind, failure.status, server.requests()), (FailureKind::Refused, status, 1));
        assert!(failure.upstream.unwrap().object.unwrap().get().contains("\"message\":\"bad ***\""));
    }
}

#[tokio::test]
async fn an_upstream_in_trouble_is_asked_as_often_as_allowed() {
    for status in [408, 500, 502, 503, 524, 529] {
        let server = Server::start(vec![vec![refusal(status, "")]]).await;

        let failure = failure(&server, true).await;

        assert_eq!((failure.status, failure.attempts, server.requests()), (status, 2, 2));
    }
}

#[tokio::test]
async fn an_error_page_is_a_status_and_never_a_message() {
    let page = "<html>secret page</html>";
    let html = format!("HTTP/1.1 502 Bad\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}", page.len());
    let server = Server::start(vec![vec![send(html)]]).await;

    let failure = failure(&server, false).await;

    assert_eq!((failure.kind, failure.status, failure.code), (FailureKind::Refused, 502, "upstream_error"));
    assert_eq!(failure.error_type, "provider_unavailable");
    assert!(!format!("{failure:?}").contains("secret"));
}

#[tokio::test]
async fn a_page_or_a_text_in_a_200_is_a_bad_gateway() {
    for (media, body) in
        [("text/html", "<html>"), ("application/json", "<html>"), ("text/plain", "ok"), ("application/json", "")]
    {
        let length = body.len();
        let text = format!("HTTP/1.1 200 OK\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n{body}");
        let server = Server::start(vec![vec![send(text)]]).await;

        let failure = failure(&server, false).await;

        assert_eq!((failure.kind, failure.status), (FailureKind::Malformed, 502), "{media} {body}");
    }
}

#[tokio::test]
async fn an_error_in_a_200_has_its_true_status_and_is_tried_again_by_it() {
    let error = r#"{"error":{"code":503,"message":"later"}}"#;
    let server =
        Server::start(vec![vec![whole("200 OK", "", error)], vec![whole("200 OK", "", "{\"id\":\"x\"}")]]).await;
    assert_eq!(answer(&server).await.attempts, 2);

    let server = Server::start(vec![vec![whole("200 OK", "", error)]]).await;
    let failure = failure(&server, false).await;

    assert_eq!((failure.kind, failure.status, failure.message.as_str()), (FailureKind::Refused, 503, "later"));
}

#[tokio::test]
async fn half_an_answer_is_no_answer_and_is_not_paid_for_twice() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\nx-generation-id: gen-h\r\n\r\n{\"id\":1";
    let server = Server::start(vec![vec![send(cut), Step::Close]]).await;

    let failure = failure(&server, false).await;

    assert_eq!((failure.kind, failure.status, failure.code), (FailureKind::Cut, 502, "upstream_cut"));
    assert_eq!(server.requests(), 1);
    assert_eq!(failure.headers["x-generation-id"], "gen-h", "by which its cost can be asked for");
}

#[tokio::test]
async fn an_answer_that_falls_silent_or_grows_without_end_is_left() {
    let begun = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let silent = Server::start(vec![vec![send(begun), piece("{"), Step::Hang]]).await;
    let endless = Server::start(vec![vec![send(begun), piece(&"x".repeat(100_001)), Step::Hang]]).await;
    let announced = "HTTP/1.1 200 OK\r\ncontent-length: 100001\r\n\r\n";
    let announced = Server::start(vec![vec![send(announced), Step::Hang]]).await;

    let (silent, endless, announced) =
        (failure(&silent, false).await, failure(&endless, false).await, failure(&announced, false).await);

    assert_eq!((silent.kind, silent.status, silent.code), (FailureKind::IdleTimeout, 504, "upstream_idle_timeout"));
    assert_eq!((endless.kind, endless.status), (FailureKind::TooLarge, 502));
    assert_eq!(announced.kind, FailureKind::TooLarge);
}

#[tokio::test]
async fn an_encoding_that_was_not_asked_for_is_not_passed_on_as_text() {
    let server = Server::start(vec![vec![whole("200 OK", "content-encoding: gzip\r\n", "{}")]]).await;

    assert_eq!(failure(&server, false).await.kind, FailureKind::Malformed);
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_left_in_time_and_named() {
    let server = Server::start(vec![vec![Step::Hang]]).await;
    let begun = Instant::now();

    let failure = failure(&server, false).await;

    assert_eq!((failure.kind, failure.status, failure.attempts), (FailureKind::FirstByteTimeout, 504, 2));
    assert_eq!((failure.code, failure.error_type.as_str()), ("upstream_first_byte_timeout", "timeout"));
    assert!(begun.elapsed() >= Duration::from_millis(500));
    server.until(|notes| notes.gone.load(Ordering::SeqCst) == 2).await;
}

#[tokio::test]
async fn one_deadline_covers_all_attempts() {
    let server = Server::start(vec![vec![Step::Hang]]).await;
    let settings = Settings { total: Duration::from_millis(400), attempts: 9, ..settings() };
    let begun = Instant::now();

    let failure = failure_of(gateway(settings), call(&server.base, false)).await;

    assert!(matches!(failure.kind, FailureKind::TotalTimeout | FailureKind::FirstByteTimeout), "{failure:?}");
    assert!(begun.elapsed() < Duration::from_millis(600));
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);

    let failure = failure_of(gateway(settings()), call(&base, false)).await;

    assert_eq!((failure.kind, failure.status, failure.attempts), (FailureKind::Connect, 502, 2));
    assert_eq!(failure.code, "upstream_unreachable");
    assert!(!failure.message.contains("127.0.0.1"), "{}", failure.message);
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_tried_again() {
    let server = Server::start(vec![vec![Step::Close], vec![whole("200 OK", "", "{\"id\":\"x\"}")]]).await;

    assert_eq!(answer(&server).await.attempts, 2);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start(vec![vec![whole("302 Found", "location: http://127.0.0.1:1/\r\n", "")]]).await;

    let failure = failure(&server, false).await;

    assert_eq!((failure.kind, failure.status, server.requests()), (FailureKind::Refused, 502, 1));
}

#[tokio::test]
async fn a_path_never_leaves_the_upstreams_address() {
    let server = Server::start(vec![vec![whole("200 OK", "", "{}")]]).await;
    for path in ["/../keys", "/a/%2e%2E/b", "/a\\..\\b", "@evil.test/", "x", "/a/./b", "/a\nb"] {
        let call = Call { path: path.into(), ..call(&server.base, false) };

        let failure = failure_of(gateway(settings()), call).await;

        assert_eq!((failure.kind, failure.status), (FailureKind::Unsendable, 400), "{path}");
    }
    assert_eq!(server.requests(), 0);
    let call = Call {
        path: "/generation?id=../x".into(),
        method: Method::GET,
        body: Bytes::new(),
        ..other(&server.base, false)
    };
    assert!(gateway(settings()).call(call).await.is_ok());
}

#[tokio::test]
async fn bytes_that_are_no_json_pass_where_no_chat_was_asked_for() {
    let audio = "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 4\r\n\r\n\u{1}\u{2}\u{3}\u{4}";
    let server = Server::start(vec![vec![send(audio)], vec![send("HTTP/1.1 204 No\r\n\r\n")]]).await;
    let gateway = gateway(settings());

    let Reply::Whole(audio) = gateway.call(other(&server.base, false)).await.unwrap() else { panic!() };
    let Reply::Whole(empty) = gateway.call(other(&server.base, false)).await.unwrap() else { panic!() };

    assert_eq!(&audio.body[..], [1, 2, 3, 4]);
    assert_eq!((empty.status, empty.body.len()), (204, 0));
}

// ---- streams

#[tokio::test]
async fn a_stream_passes_as_it_came_and_is_counted() {
    let server = Server::start(vec![good()]).await;

    let mut stream = stream(&server).await;
    let text = rest(&mut stream).await;

    assert_eq!(text, format!("data: {CHUNK}\n\ndata: {LAST}\n\ndata: [DONE]\n\n"));
    assert_eq!((stream.end(), stream.status(), stream.attempts()), (Some(End::Complete), 200, 1));
    let tally = stream.tally();
    assert_eq!((tally.text.as_str(), tally.generation_id.as_deref()), ("Hi", Some("gen-h")));
    assert_eq!(tally.usage.unwrap().cost, Some(Nanos(140_000)), "usage in a chunk with choices");
    assert!(tally.first_byte.is_some());
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn the_connection_of_a_complete_stream_is_used_again() {
    let mut slow_end = good();
    slow_end.insert(4, Step::Wait(30));
    let server = Server::start(vec![slow_end]).await;
    let gateway = gateway(settings());
    for _ in 0..3 {
        let mut stream = open(gateway.clone(), call(&server.base, true)).await;
        rest(&mut stream).await;
        drop(stream);
        sleep(Duration::from_millis(80)).await;
    }

    assert_eq!((server.requests(), server.notes.connections.load(Ordering::SeqCst)), (3, 1));
}

#[tokio::test]
async fn one_byte_at_a_time_and_every_line_ending_give_the_same_answer() {
    for ending in ["\n", "\r\n", "\r"] {
        let text = [CHUNK, LAST, "[DONE]"].map(|json| format!("data: {json}{ending}{ending}")).concat();
        let chunks: String = text.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
        let server = Server::start(vec![vec![head(), Step::Drip(chunks.into_bytes()), over()]]).await;

        let mut stream = stream(&server).await;
        let got = rest(&mut stream).await;

        assert_eq!(got, text);
        assert_eq!((stream.end(), stream.tally().text.as_str()), (Some(End::Complete), "Hi"));
    }
}

#[tokio::test]
async fn comments_pass_as_comments_and_empty_frames_do_not_pass() {
    let server = Server::start(vec![vec![
        head(),
        piece(": OPENROUTER PROCESSING\n\n"),
        Step::Wait(20),
        piece(&format!("data:\n\n: two\n\ndata: {CHUNK}\n\ndata: \n\n")),
        event(LAST),
        event("[DONE]"),
        over(),
    ]])
    .await;

    let mut stream = stream(&server).await;
    let text = rest(&mut stream).await;

    let expected = format!(": OPENROUTER PROCESSING\n\n: two\n\ndata: {CHUNK}\n\ndata: {LAST}\n\ndata: [DONE]\n\n");
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_stream_whose_first_frame_is_an_error_is_tried_again() {
    let error = r#"{"error":{"code":503,"message":"no","metadata":{"error_type":"provider_unavailable"}}}"#;
    let bad = vec![head(), piece(": wait\n\n"), event(error), over()];
    let server = Server::start(vec![bad.clone(), good()]).await;
    let mut second = stream(&server).await;
    assert_eq!(second.attempts(), 2);
    assert!(rest(&mut second).await.starts_with("data: {\"id\""), "the first attempt's comment is gone");

    let server = Server::start(vec![bad]).await;
    let failure = failure(&server, true).await;

    assert_eq!((failure.kind, failure.status, failure.attempts), (FailureKind::Refused, 503, 2));
    assert_eq!(failure.error_type, "provider_unavailable");
}

#[tokio::test]
async fn what_is_no_stream_at_all_is_a_failure_with_a_true_status() {
    for (steps, kind, status) in [
        (vec![over()], FailureKind::Malformed, 502),
        (vec![event("[DONE]"), over()], FailureKind::Malformed, 502),
        (vec![piece(": only\n\n"), over()], FailureKind::Malformed, 502),
        (vec![piece("<html>page</html>"), over()], FailureKind::Malformed, 502),
        (vec![piece("<html>\n\npage</html>\n\n"), over()], FailureKind::Malformed, 502),
        (vec![event("nonsense"), over()], FailureKind::Malformed, 502),
        (vec![piece(r#"{"error":{"code":401,"message":"m"}}"#), over()], FailureKind::Refused, 401),
        (vec![piece("{\"error\":{\"code\":401,\"message\":\"m\"}}\n\n"), over()], FailureKind::Refused, 401),
        (vec![piece("data: {\"id\":"), Step::Close], FailureKind::Cut, 502),
        (vec![Step::Close], FailureKind::Cut, 502),
        (vec![piece(": only\n\n"), Step::Hang], FailureKind::FirstByteTimeout, 504),
    ] {
        let steps: Vec<Step> = std::iter::once(head()).chain(steps).collect();
        let server = Server::start(vec![steps]).await;

        let failure = failure(&server, true).await;

        assert_eq!((failure.kind, failure.status), (kind, status), "{failure:?}");
        assert_eq!(failure.headers["x-generation-id"], "gen-h");
    }
}

#[tokio::test]
async fn a_whole_answer_to_a_wish_for_a_stream_is_given_as_one() {
    let server = Server::start(vec![vec![whole("200 OK", "", "{\"id\":\"x\"}")]]).await;

    let reply = gateway(settings()).call(call(&server.base, true)).await.unwrap();

    assert!(matches!(reply, Reply::Whole(whole) if whole.body == "{\"id\":\"x\"}"));
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_with_an_error_and_no_half_frame() {
    for tail in [
        vec![Step::Close],
        vec![over()],
        vec![piece("data: {\"id\":\"half"), Step::Close],
        vec![piece("data: {\"id\":\"half"), over()],
    ] {
        let steps: Vec<Step> = [head(), event(CHUNK)].into_iter().chain(tail).collect();
        let server = Server::start(vec![steps]).await;

        let mut stream = stream(&server).await;
        let text = rest(&mut stream).await;

        let error = error_frame(&text);
        assert_eq!((error["id"].as_str(), error["model"].as_str()), (Some("gen-h"), Some("a/b")));
        assert_eq!((error["provider"].as_str(), error["object"].as_str()), (Some("P"), Some("chat.completion.chunk")));
        assert_eq!(error["error"]["code"], 502);
        assert_eq!(error["error"]["metadata"]["error_type"], "provider_unavailable");
        assert_eq!(
            (&error["choices"][0]["finish_reason"], &error["choices"][0]["delta"]["content"]),
            (&"error".into(), &"".into())
        );
        assert!(error["created"].as_u64().unwrap() > 1_700_000_000);
        assert!(!text.contains("half"));
        assert_eq!((stream.end(), server.requests()), (Some(End::Cut), 1));
    }
}

#[tokio::test]
async fn a_stream_that_stalls_ends_with_an_error_and_is_closed() {
    let server = Server::start(vec![vec![head(), event(CHUNK), Step::Hang]]).await;
    let mut stream = stream(&server).await;

    let text = rest(&mut stream).await;

    assert_eq!(error_frame(&text)["error"]["metadata"]["error_type"], "timeout");
    assert_eq!(stream.end(), Some(End::Stalled));
    server.until(|notes| notes.gone.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_stream_that_takes_too_long_ends_with_an_error() {
    let drip = [event(CHUNK), Step::Wait(50)].into_iter().cycle().take(40);
    let server = Server::start(vec![std::iter::once(head()).chain(drip).collect()]).await;
    let settings = Settings { total: Duration::from_millis(300), ..settings() };

    let mut stream = open(gateway(settings), call(&server.base, true)).await;
    let text = rest(&mut stream).await;

    error_frame(&text);
    assert_eq!(stream.end(), Some(End::TimedOut));
}

#[tokio::test]
async fn a_stream_that_turns_into_something_else_ends_with_an_error() {
    for odd in ["data: <html>\n\n", "<html>oh</html>\n\n", "data: {\"id\":\n\n"] {
        let server = Server::start(vec![vec![head(), event(CHUNK), piece(odd), event("[DONE]"), over()]]).await;

        let mut stream = stream(&server).await;
        let text = rest(&mut stream).await;

        error_frame(&text);
        assert!(!text.contains("html"));
        assert_eq!(stream.end(), Some(End::Malformed), "{odd}");
    }
}

#[tokio::test]
async fn an_error_of_the_upstream_in_mid_stream_passes_as_it_is_and_is_the_end() {
    let error = r#"{"id":"gen-1","error":{"code":429,"message":"slow"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#;
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"cost":"0.1"}}"#;
    let after = piece(&format!("data: {CHUNK}\n\ndata: {error}\n\ndata: {usage}\n\ndata: [DONE]\n\n"));
    let server = Server::start(vec![vec![head(), event(CHUNK), Step::Wait(20), after, over()]]).await;

    let mut stream = stream(&server).await;
    let text = rest(&mut stream).await;

    assert_eq!(text, format!("data: {CHUNK}\n\ndata: {CHUNK}\n\ndata: {error}\n\n"));
    assert_eq!(stream.end(), Some(End::Failed));
    assert_eq!(stream.tally().last_error.as_ref().unwrap().status, 429);
    assert_eq!(stream.tally().usage.unwrap().cost, Some(Nanos(100_000_000)), "the ledger wants what came after it");
}

#[tokio::test]
async fn an_error_in_mid_stream_never_shows_the_key() {
    let error = format!(r#"{{"error":{{"code":401,"message":"bad {SECRET}"}}}}"#);
    let server = Server::start(vec![vec![head(), event(CHUNK), event(&error), over()]]).await;

    let mut stream = stream(&server).await;
    let text = rest(&mut stream).await;

    assert!(text.contains("bad ***") && !text.contains(SECRET), "{text}");
    assert!(!format!("{stream:?} {:?}", stream.tally().last_error).contains(SECRET));
}

#[tokio::test]
async fn an_end_without_done_is_complete_only_when_all_was_said() {
    let finish = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    let bare = r#"{"choices":[{"delta":{"content":"x"}}]}"#;
    for (events, end) in [
        (vec![CHUNK, LAST], End::Complete),
        (vec![CHUNK, finish], End::Complete),
        (vec![CHUNK, bare], End::Cut),
        (vec![CHUNK, bare, "[DONE]"], End::Complete),
        (vec![CHUNK, finish, "[DONE]"], End::Complete),
    ] {
        let steps = std::iter::once(head()).chain(events.iter().map(|json| event(json))).chain([over()]);
        let server = Server::start(vec![steps.collect()]).await;

        let mut stream = stream(&server).await;
        let text = rest(&mut stream).await;

        assert_eq!(stream.end(), Some(end), "{events:?}");
        assert_eq!(text.contains("\"finish_reason\":\"error\""), end == End::Cut);
        assert_eq!(stream.tally().usage.is_some(), events.contains(&LAST));
    }
}

#[tokio::test]
async fn a_last_frame_that_lacks_its_blank_line_is_mended() {
    let server = Server::start(vec![vec![head(), event(CHUNK), event(LAST), piece("data: [DONE]\n"), over()]]).await;

    let mut stream = stream(&server).await;
    let text = rest(&mut stream).await;

    assert!(text.ends_with("\n\ndata: [DONE]\n\n"));
    assert_eq!(stream.end(), Some(End::Complete));
}

#[tokio::test]
async fn silence_is_bridged_by_comments_of_our_own() {
    let server =
        Server::start(vec![vec![head(), event(CHUNK), Step::Wait(150), event(LAST), event("[DONE]"), over()]]).await;
    let settings = Settings { keep_alive: Duration::from_millis(40), ..settings() };

    let mut stream = open(gateway(settings), call(&server.base, true)).await;
    let text = rest(&mut stream).await;

    let comments = text.matches(": keep-alive\n\n").count();
    assert!((1..=4).contains(&comments), "{text}");
    assert!(text.starts_with(&format!("data: {CHUNK}\n\n: keep-alive\n\n")));
    assert_eq!(stream.end(), Some(End::Complete));
}

#[tokio::test]
async fn a_read_that_is_given_up_loses_nothing() {
    let server =
        Server::start(vec![vec![head(), event(CHUNK), Step::Wait(60), event(LAST), event("[DONE]"), over()]]).await;
    let mut stream = stream(&server).await;
    let mut text = Vec::new();

    while stream.end().is_none() {
        if let Ok(Some(bytes)) = timeout(Duration::from_millis(7), stream.next()).await {
            text.extend_from_slice(&bytes);
        }
    }

    let text = String::from_utf8(text).unwrap() + &rest(&mut stream).await;
    assert_eq!(text, format!("data: {CHUNK}\n\ndata: {LAST}\n\ndata: [DONE]\n\n"));
}

#[tokio::test]
async fn the_other_dialects_have_their_own_last_event_and_their_own_error() {
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n";
    let completed =
        r#"{"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":1,"cost":1}}}"#;
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let failed = r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}}"#;
    for (last, end) in [
        (event(completed), End::Complete),
        (piece(stop), End::Complete),
        (event("[DONE]"), End::Complete),
        (event(failed), End::Failed),
        (event(CHUNK), End::Cut),
    ] {
        let server = Server::start(vec![vec![head(), piece(created), last, over()]]).await;

        let mut stream = open(gateway(settings()), other(&server.base, true)).await;
        let text = rest(&mut stream).await;

        assert!(text.starts_with(created));
        assert_eq!(stream.end(), Some(end), "{text}");
        if end == End::Cut {
            let (_, frame) = text.rsplit_once("event: error\n").unwrap();
            let error = error_frame(frame);
            assert_eq!((&error["type"], &error["error"]["type"]), (&"error".into(), &"api_error".into()));
            assert_eq!(error["message"], error["error"]["message"]);
        } else {
            assert!(!text.contains("event: error"));
        }
    }
}

// ---- a client that goes away

#[tokio::test]
async fn a_dropped_call_closes_the_connection_before_the_head() {
    for streamed in [false, true] {
        let server = Server::start(vec![vec![Step::Hang]]).await;
        let settings = Settings { first_byte: Duration::from_secs(30), total: Duration::from_secs(60), ..settings() };
        let task = tokio::spawn(gateway_call(settings, call(&server.base, streamed)));
        server.until(|notes| notes.hanging.load(Ordering::SeqCst) == 1).await;

        task.abort();

        server.until(|notes| notes.gone.load(Ordering::SeqCst) == 1).await;
        assert_eq!(server.requests(), 1, "and nothing is tried again");
    }
}

#[tokio::test]
async fn a_dropped_call_closes_the_connection_before_the_first_frame() {
    let server = Server::start(vec![vec![head(), piece(": wait\n\n"), Step::Hang]]).await;
    let settings = Settings { first_byte: Duration::from_secs(30), total: Duration::from_secs(60), ..settings() };
    let task = tokio::spawn(gateway_call(settings, call(&server.base, true)));
    server.until(|notes| notes.hanging.load(Ordering::SeqCst) == 1).await;
    sleep(Duration::from_millis(20)).await;

    task.abort();

    server.until(|notes| notes.gone.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_dropped_stream_closes_the_connection_and_is_no_failure_of_the_upstream() {
    let server = Server::start(vec![vec![head(), event(CHUNK), Step::Hang]]).await;
    let gateway = gateway(Settings { idle: Duration::from_secs(30), ..settings() });
    let mut stream = open(gateway.clone(), call(&server.base, true)).await;
    stream.next().await.unwrap();

    drop(stream);

    server.until(|notes| notes.gone.load(Ordering::SeqCst) == 1).await;
    assert_eq!(gateway.breakers().states(), [("up/a/b".to_owned(), State::Closed)]);
}

async fn gateway_call(settings: Settings, call: Call) -> Result<Reply, Failure> {
    gateway(settings).call(call).await
}

// ---- the breaker

#[tokio::test]
async fn an_upstream_that_fails_in_a_row_is_left_alone_and_asked_again_by_one() {
    let script = vec![vec![refusal(500, "")], vec![head(), event(CHUNK), Step::Close], good()];
    let server = Server::start(script).await;
    let breakers = Breakers::new(2, Duration::from_secs(60), Duration::from_millis(150));
    let gateway = Gateway::new(Settings { attempts: 1, ..settings() }, Arc::new(breakers)).unwrap();

    failure_of(gateway.clone(), call(&server.base, true)).await;
    let mut cut = open(gateway.clone(), call(&server.base, true)).await;
    rest(&mut cut).await;
    let open_now = failure_of(gateway.clone(), call(&server.base, true)).await;
    sleep(Duration::from_millis(160)).await;
    let mut probe = open(gateway.clone(), call(&server.base, true)).await;
    let meanwhile = gateway.call(call(&server.base, true)).await;
    rest(&mut probe).await;

    assert_eq!((open_now.kind, open_now.status, open_now.attempts), (FailureKind::BreakerOpen, 503, 0));
    assert!(open_now.retry_after.is_some_and(|wait| wait <= Duration::from_millis(150)));
    assert!(meanwhile.is_ok(), "a probe whose stream has begun opens the door");
    assert_eq!(server.requests(), 4);
    assert_eq!(gateway.breakers().states()[0].1, State::Closed);
}

#[tokio::test]
async fn a_breaker_that_opens_between_attempts_ends_them_with_the_true_reason() {
    let server = Server::start(vec![vec![refusal(500, "")]]).await;
    let breakers = Breakers::new(2, Duration::from_secs(60), Duration::from_secs(60));
    let gateway = Gateway::new(Settings { attempts: 5, ..settings() }, Arc::new(breakers)).unwrap();

    let failure = failure_of(gateway, call(&server.base, false)).await;

    assert_eq!((failure.kind, failure.status, failure.attempts), (FailureKind::Refused, 500, 2));
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn refusals_for_the_requests_sake_do_not_open_a_breaker() {
    let server = Server::start(vec![vec![refusal(429, "")]]).await;
    let breakers = Breakers::new(1, Duration::from_secs(60), Duration::from_secs(60));
    let gateway = Gateway::new(Settings { attempts: 1, ..settings() }, Arc::new(breakers)).unwrap();
    for _ in 0..3 {
        assert_eq!(failure_of(gateway.clone(), call(&server.base, false)).await.status, 429);
    }

    assert_eq!(gateway.breakers().states()[0].1, State::Closed);
}

#[test]
fn nothing_shows_a_key() {
    let call = call("http://user:pass@localhost", false);

    let shown = format!("{:?} {:?}", call.upstream, Key::new(SECRET.into()));

    assert!(!shown.contains("secret") && !shown.contains("pass"), "{shown}");
    assert!(Key::new("a b".into()).is_err() && Key::new(String::new()).is_err());
}
