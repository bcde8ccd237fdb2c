//! The gateway against an upstream that misbehaves on demand: each promise with a test that fails without it.

mod budgets;
mod cancel;
mod errors;
mod ledger;
mod memory;
mod models;
mod passthrough;
mod reliability;
mod streams;

use crate::support::{Answer, Client, Server, wait_for};
use cmg_standin::StandIn;
use serde_json::{Value, json};
use std::time::Duration;

/// The key at the upstream; it must never be seen anywhere else.
pub(crate) const UPSTREAM_KEY: &str = "sk-or-v1-canary-4471-heron";
/// How long something may take that follows an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server and its upstream.
struct Pair {
    upstream: StandIn,
    server: Server,
}

impl Pair {
    fn start() -> Self {
        Self::with(&[])
    }

    /// Short time limits unless told otherwise, so that what never comes is not waited for long.
    fn with(env: &[(&str, &str)]) -> Self {
        let upstream = StandIn::start();
        let url = upstream.url();
        let mut all = vec![
            ("OPENROUTER_API_BASE", url.as_str()),
            ("OPENROUTER_API_KEY", UPSTREAM_KEY),
            ("GATEWAY_FIRST_BYTE_MS", "1500"),
            ("GATEWAY_IDLE_MS", "1000"),
            ("GATEWAY_TOTAL_MS", "10000"),
        ];
        all.extend_from_slice(env);
        let server = Server::start_with(&all);
        Self { upstream, server }
    }

    fn client(&self) -> Client {
        self.server.client()
    }

    /// A chat call of one user message.
    fn chat(&self, model: &str) -> Answer {
        self.client().post("/v1/chat/completions", &ask(model, false))
    }

    /// The same as a stream, read to its end.
    fn stream(&self, model: &str) -> Answer {
        self.client().post("/v1/chat/completions", &ask(model, true))
    }

    /// The rows of the ledger for a model, newest first, once there are `count` of them.
    fn rows(&self, model: &str, count: usize) -> Vec<Value> {
        wait_for(&format!("{count} rows of {model}"), 20, || {
            let all = self.server.admin().get("/admin/api/usage/requests?limit=500").done();
            let rows: Vec<Value> =
                all["data"].as_array().unwrap().iter().filter(|row| row["model"] == model).cloned().collect();
            (rows.len() >= count).then_some(rows)
        })
    }

    /// The only row of a model.
    fn row(&self, model: &str) -> Value {
        let rows = self.rows(model, 1);
        assert_eq!(rows.len(), 1, "one row for one request: {rows:?}");
        rows[0].clone()
    }

    /// The requests for chat completions that the upstream has seen.
    fn calls(&self) -> usize {
        self.upstream.requests().iter().filter(|seen| seen.path.ends_with("/chat/completions")).count()
    }
}

fn ask(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Say hello."}]})
}

/// The JSON of every `data:` frame of a stream, `[DONE]` left out.
fn chunks(stream: &Answer) -> Vec<Value> {
    let text = stream.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))).collect()
}
