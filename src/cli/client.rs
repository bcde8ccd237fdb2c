//! Talking to a running server: one client, and errors in words.

use super::Failure;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::Value;
use std::time::Duration;

/// A running server.
pub(crate) struct Server {
    client: Client,
    base: String,
}

impl Server {
    /// The server at `url`; `patience` is how long an answer may take, `None` for as long as it takes.
    pub(crate) fn at(url: &str, patience: Option<Duration>) -> Result<Self, Failure> {
        let client = Client::builder().timeout(patience).redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|error| Failure::Failed(format!("no client: {error}")))?;
        Ok(Self { client, base: url.trim_end_matches('/').to_owned() })
    }

    /// A request with a bearer token.
    pub(crate) fn request(&self, method: &str, path: &str, token: &str) -> Result<RequestBuilder, Failure> {
        let method = method.parse().map_err(|_| Failure::Usage(format!("{method} is no method")))?;
        Ok(self.client.request(method, format!("{}{path}", self.base)).bearer_auth(token))
    }

    /// `GET` without a token: the status and the body.
    pub(crate) fn get(&self, path: &str) -> Result<(u16, Value), Failure> {
        let answer = self.client.get(format!("{}{path}", self.base)).send().map_err(unreachable)?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().unwrap_or(Value::Null)))
    }
}

fn unreachable(error: reqwest::Error) -> Failure {
    Failure::Failed(format!("the server does not answer: {}", error.without_url()))
}

/// Sends a request; an answer that is no success becomes its message.
pub(crate) fn send(request: RequestBuilder) -> Result<Response, Failure> {
    let answer = request.send().map_err(unreachable)?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    let body: Value = answer.json().unwrap_or(Value::Null);
    let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or("no reason was given");
    Err(Failure::Failed(format!("{status}: {message}")))
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
