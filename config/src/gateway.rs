//! The room of the LLM gateway: which upstream it talks to. Read by the gateway's client.

use crate::secret::Secret;
use crate::table::{Kind, room};

room! {
    /// Which upstream the LLM gateway talks to.
    Gateway in "gateway" {
        /// Key at OpenRouter. Not set: routes that need an upstream say so. Read by the gateway's client.
        openrouter_api_key: Option<Secret> = "OPENROUTER_API_KEY",
            Kind::Secret { allowed: "a text without spaces", check: |text| text.bytes().all(|b| b.is_ascii_graphic()) };
        /// Base URL of OpenRouter or of anything that speaks its API. Read by the gateway's client.
        openrouter_api_base: String = "OPENROUTER_API_BASE",
            Kind::Text { allowed: "an http:// or https:// URL without user and password", check: is_base };
        /// Model of a chat request that names none; not set: such a request is refused. Read by the gateway's client.
        default_model: Option<String> = "DEFAULT_MODEL",
            Kind::Text { allowed: "a model name such as author/model", check: |text| !text.contains(char::is_whitespace) };
        /// Other upstreams that speak OpenAI's API, as `name=URL`: a model `name/rest` goes there as `rest`. Read by the gateway's client.
        upstreams: Vec<String> = "UPSTREAMS",
            Kind::List { allowed: "name=URL, such as ollama=http://127.0.0.1:11434/v1", check: is_upstream };
        /// Keys of those upstreams as `name=key`, separated by commas. Read by the gateway's client.
        upstream_keys: Option<Secret> = "UPSTREAM_KEYS",
            Kind::Secret { allowed: "name=key pairs separated by commas, without spaces", check: are_keys };
        /// Names that callers may use for models, as `alias=author/model`. Read by the gateway's routes.
        model_aliases: Vec<String> = "MODEL_ALIASES",
            Kind::List { allowed: "alias=author/model", check: is_alias };
        /// URL of your app for OpenRouter's rankings (`HTTP-Referer`), where a caller sends none. Read by the gateway's client.
        app_url: Option<String> = "APP_URL", Kind::Text { allowed: "a URL", check: is_header };
        /// Name of your app for OpenRouter's rankings (`X-OpenRouter-Title`), where a caller sends none. Read by the gateway's client.
        app_title: Option<String> = "APP_TITLE", Kind::Text { allowed: "a line of ASCII text", check: is_header };
        /// Calls under way at most, all keys together; more are answered with 503 `overloaded`. Read by the gateway's pool.
        max_calls: usize = "GATEWAY_MAX_CALLS", Kind::Integer { min: 1, max: 1_000_000 };
        /// Milliseconds that connecting to an upstream may take. Read by the gateway's client.
        connect_ms: u64 = "GATEWAY_CONNECT_MS", Kind::Integer { min: 1, max: 600_000 };
        /// Milliseconds until an upstream's first byte, and of a stream its first frame. Read by the gateway's client.
        first_byte_ms: u64 = "GATEWAY_FIRST_BYTE_MS", Kind::Integer { min: 1, max: 3_600_000 };
        /// Milliseconds of silence after which an answer counts as stalled. Read by the gateway's client.
        idle_ms: u64 = "GATEWAY_IDLE_MS", Kind::Integer { min: 1, max: 3_600_000 };
        /// Milliseconds that a call may take in all, repeated attempts included. Read by the gateway's client.
        total_ms: u64 = "GATEWAY_TOTAL_MS", Kind::Integer { min: 1, max: 86_400_000 };
        /// Attempts at most while nothing has come back yet. Read by the gateway's client.
        attempts: u32 = "GATEWAY_ATTEMPTS", Kind::Integer { min: 1, max: 10 };
        /// Largest whole answer of an upstream in bytes. Read by the gateway's client.
        max_answer_bytes: usize = "GATEWAY_MAX_ANSWER_BYTES", Kind::Integer { min: 1_024, max: 1 << 30 };
        /// Failures of a model in a row that open its breaker. Read by the gateway's client.
        breaker_failures: u32 = "GATEWAY_BREAKER_FAILURES", Kind::Integer { min: 1, max: 1_000 };
        /// Milliseconds that an open breaker rests before it lets one call try. Read by the gateway's client.
        breaker_rest_ms: u64 = "GATEWAY_BREAKER_REST_MS", Kind::Integer { min: 1, max: 3_600_000 };
        /// Seconds between two fetches of the catalogue of models; `0` fetches only when told to. Read by the catalogue's keeper.
        catalogue_seconds: u64 = "GATEWAY_CATALOGUE_SECONDS", Kind::Integer { min: 0, max: 31_536_000 };
    }
}

fn is_base(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['@', ' ', '?', '#']))
}

/// Splits `name=value` where both are there.
fn pair(text: &str) -> Option<(&str, &str)> {
    text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_upstream(text: &str) -> bool {
    pair(text).is_some_and(|(name, base)| is_name(name) && is_base(base))
}

fn are_keys(text: &str) -> bool {
    let is_key = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    text.split(',').all(|one| pair(one).is_some_and(|(name, key)| is_name(name) && is_key(key)))
}

fn is_alias(text: &str) -> bool {
    pair(text).is_some_and(|(alias, model)| !format!("{alias}{model}").contains(char::is_whitespace))
}

fn is_header(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

impl Gateway {
    /// The other upstreams as name and URL.
    pub fn upstreams(&self) -> impl Iterator<Item = (&str, &str)> {
        self.upstreams.iter().filter_map(|text| pair(text))
    }

    /// The key of another upstream.
    #[must_use]
    pub fn upstream_key(&self, name: &str) -> Option<Secret> {
        let keys = self.upstream_keys.as_ref()?.expose();
        keys.split(',').filter_map(pair).find(|(of, _)| *of == name).map(|(_, key)| Secret::new(key))
    }

    /// The model behind a name that a caller used; the name itself where it is no alias.
    #[must_use]
    pub fn resolve<'a>(&'a self, name: &'a str) -> &'a str {
        let aliases = self.model_aliases.iter().filter_map(|text| pair(text));
        aliases.filter(|(alias, _)| *alias == name).map(|(_, model)| model).next_back().unwrap_or(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_keys_and_aliases_are_pairs() {
        assert!(is_upstream("ollama=http://127.0.0.1:11434/v1") && is_alias("fast=openai/gpt-5-mini"));
        assert!(are_keys("openai=sk-abc,vllm=x=y"), "a key may hold an equals sign");
        for wrong in ["", "ollama", "=http://a", "a/b=http://a", "ollama=ftp://a", "ollama="] {
            assert!(!is_upstream(wrong), "{wrong}");
        }
        assert!(!are_keys("openai") && !are_keys("a=b,") && !is_alias("a b=c"));
    }
}
