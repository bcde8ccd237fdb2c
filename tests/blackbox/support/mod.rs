//! What every test needs: a server, a client, and something to talk about.

pub(crate) mod client;
pub(crate) mod dice;
pub(crate) mod server;
pub(crate) mod stories;

pub(crate) use client::{Answer, Client};
pub(crate) use dice::Dice;
pub(crate) use server::{Run, Server};

use std::time::{Duration, Instant};

/// Asks until there is an answer, for at most `seconds`; then says what was waited for.
pub(crate) fn wait_for<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {seconds} seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An answer's bytes without the time it took: all that may differ between two equal answers.
pub(crate) fn without_time(body: &str) -> String {
    let Some((head, tail)) = body.split_once("\"took_us\":") else { return body.to_owned() };
    format!("{head}\"took_us\":_{}", tail.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' '))
}

/// Bytes as they stand in one segment of a path.
pub(crate) fn encoded(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    segment.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
