//! What the test that started a stand-in can see and set.

use crate::client::{Client, End, chat_body};
use cmg_standin::{Fault, Script, StandIn};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(2);

#[test]
fn requests_are_seen_as_they_were_sent() {
    let standin = StandIn::start();
    let begun = Instant::now();
    let mut client = Client::of(&standin);

    client.ask("GET", "/models?limit=5", "");
    client.chat("ok", false);

    let [first, second] = standin.requests().try_into().unwrap();
    assert_eq!((first.method.as_str(), first.path.as_str()), ("GET", "/api/v1/models?limit=5"));
    assert_eq!(second.header("Authorization"), Some("Bearer sk-test"));
    assert_eq!(second.body, chat_body("ok", false).as_bytes());
    assert_eq!(second.json()["model"], "standin/ok");
    assert!(first.when >= begun && second.when >= first.when);
    assert_eq!((standin.last(), standin.received()), (Some(second), 2));
}

#[test]
fn a_client_that_leaves_is_noticed_in_every_phase() {
    for (behaviour, stream) in
        [("hang", false), ("hang", true), ("slow-5000", true), ("stall", true), ("gap-5000", true)]
    {
        let standin = StandIn::start();
        let mut client = Client::of(&standin);
        client.send("POST", "/chat/completions", &chat_body(behaviour, stream));
        assert!(standin.wait_until(|s| s.open_streams() == 1, SOON), "{behaviour}");
        assert_eq!((standin.closed_early(), standin.connections()), (0, 1), "{behaviour}");

        drop(client);

        assert!(standin.wait_until(|s| s.closed_early() == 1 && s.open_streams() == 0, SOON), "{behaviour}");
        assert!(standin.wait_until(|s| s.connections() == 0, SOON), "{behaviour}");
    }
}

#[test]
fn a_client_that_leaves_while_bytes_are_written_is_noticed() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);
    client.send("POST", "/chat/completions", &chat_body("big-30000", false));
    assert!(standin.wait_until(|s| s.open_streams() == 1, SOON));

    drop(client);

    assert!(standin.wait_until(|s| s.closed_early() == 1, SOON));
}

#[test]
fn a_client_that_has_its_answer_did_not_leave_early() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);
    assert_eq!(client.chat("ok", true).end, End::Whole);
    assert_eq!(client.chat("cut", true).end, End::Cut);

    drop(client);

    assert!(standin.wait_until(|s| s.connections() == 0, SOON));
    assert_eq!((standin.closed_early(), standin.open_streams()), (0, 0));
}

#[test]
fn a_connection_takes_many_requests() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);

    for _ in 0..50 {
        assert_eq!(client.chat("ok", false).status, 200);
        assert_eq!(client.chat("ok", true).status, 200);
    }

    assert_eq!((standin.connections(), standin.received()), (1, 100));
}

#[test]
fn requests_sent_ahead_are_answered_in_turn() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);

    client.send("POST", "/chat/completions", &chat_body("slow-30", false));
    client.send("GET", "/key", "");

    assert_eq!(client.receive().json()["model"], "standin/slow-30");
    assert!(client.receive().json()["data"]["limit"].is_number());
}

#[test]
fn a_model_can_be_given_another_script() {
    let standin = StandIn::start();
    let mut client = Client::of(&standin);
    assert_eq!(client.chat("ok", false).status, 200);

    standin.set("standin/ok", Script::parse("429-then-ok-1").unwrap());
    standin.set("standin/mine/alone", Script { fault: Fault::Cut, ..Script::default() });

    let statuses = [client.chat("ok", false).status, client.chat("ok", false).status];
    assert_eq!(statuses, [429, 200]);
    assert_eq!(client.chat("mine/alone", true).end, End::Cut);
}

#[test]
fn waiting_ends_with_its_patience() {
    let standin = StandIn::start();
    let begun = Instant::now();

    let held = standin.wait_until(|s| s.received() > 0, Duration::from_millis(30));

    assert!(!held);
    assert!(begun.elapsed() >= Duration::from_millis(30) && begun.elapsed() < SOON);
}

#[test]
fn waiting_in_async_code_lets_the_client_go_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let standin = StandIn::start();

    let held = runtime.block_on(async {
        let address = standin.address();
        tokio::spawn(async move { tokio::net::TcpStream::connect(address).await.map(std::mem::forget) });
        standin.until(|s| s.connections() == 1, SOON).await
    });

    assert!(held, "the client connected while the test waited");
}

#[test]
fn a_dropped_stand_in_is_gone() {
    let standin = StandIn::start();
    let address = standin.address();
    let mut client = Client::of(&standin);
    client.send("POST", "/chat/completions", &chat_body("stall", true));
    assert!(standin.wait_until(|s| s.open_streams() == 1, SOON));

    drop(standin);

    assert_eq!(client.receive().end, End::Cut);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_client_that_waits_for_leave_to_send_gets_it() {
    let standin = StandIn::start();
    let mut socket = TcpStream::connect(standin.address()).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let head = "POST /api/v1/any HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";

    socket.write_all(head.as_bytes()).unwrap();

    let mut leave = [0; 25];
    socket.read_exact(&mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(b"{}").unwrap();
    let mut status = [0; 15];
    socket.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 OK");
}

#[test]
fn what_is_no_request_of_ours_is_told_so() {
    let cases = [("nonsense\r\n\r\n", "400"), ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "411")];
    for (request, status) in cases {
        let standin = StandIn::start();
        let mut socket = TcpStream::connect(standin.address()).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();

        socket.write_all(request.as_bytes()).unwrap();

        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status));
        assert_eq!(standin.received(), 0);
    }
}
